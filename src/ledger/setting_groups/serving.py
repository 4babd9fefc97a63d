"""What the service is called, where it listens and whom it answers."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from ledger.setting_values import NETWORKS, Networks, Origins, lower

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE


class Environment(StrEnum):
    """How strict a start is."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServingSettings(BaseSettings):
    """The service as its clients meet it."""

    environment: Annotated[Environment, BeforeValidator(lower)] = Field(
        Environment.DEVELOPMENT, description="development or production"
    )
    service_name: str = Field(
        "decision-ledger", min_length=1, max_length=100, description="1 to 100 characters"
    )
    host: str = Field(
        "127.0.0.1",
        pattern=r"^[A-Za-z0-9.:_-]+$",
        description="an address or a host name, like 127.0.0.1 or ::",
    )
    port: int = Field(8002, ge=0, le=65535, description="a whole number from 0 (any free port) to 65535")
    data_dir: Path = Field(Path(".ledger"), description="a folder")
    max_body_bytes: int = Field(
        MEBIBYTE,
        ge=KIBIBYTE,
        le=100 * MEBIBYTE,
        description="a number of bytes from 1024 (1 KiB) to 104857600 (100 MiB)",
    )
    max_evidence_bytes: int = Field(
        10 * MEBIBYTE,
        ge=KIBIBYTE,
        le=1024 * MEBIBYTE,
        description="a number of bytes from 1024 (1 KiB) to 1073741824 (1 GiB)",
    )
    cors_origins: Origins = Field((), description="exact origins, separated by commas")
    trusted_proxies: Networks = Field((), description=NETWORKS)

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION
