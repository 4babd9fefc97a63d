"""The log, the metrics and the traces."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from ledger.setting_groups.serving import Environment
from ledger.setting_values import BearerToken, HttpUrl, lower


class LogLevel(StrEnum):
    """The least important line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogFormat(StrEnum):
    """Who reads the log: a person or a machine."""

    CONSOLE = "console"
    JSON = "json"


class TelemetrySettings(BaseSettings):
    """What the service says about itself."""

    otlp_endpoint: HttpUrl | None = Field(None, description="a URL")
    trace_sample_ratio: float = Field(0.01, ge=0, le=1, description="a number from 0 to 1")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="a whole number from 0 (any free port) to 65535"
    )
    metrics_token: BearerToken | None = Field(None, description="printable characters without a space")
    log_level: Annotated[LogLevel, BeforeValidator(lower)] = Field(
        LogLevel.INFO, description="debug, info, warning, error or critical"
    )
    log_format: Annotated[LogFormat, BeforeValidator(lower)] = Field(
        default_factory=lambda chosen: (
            LogFormat.JSON if chosen.get("environment") is Environment.PRODUCTION else LogFormat.CONSOLE
        ),
        description="console or json",
    )
