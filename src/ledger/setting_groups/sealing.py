"""The notary, its witnesses and its time stamps."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from ledger.setting_values import MANY, GuardUrl, HttpUrl, NotaryKeys


class SealingSettings(BaseSettings):
    """How the log is sealed, and who vouches for it."""

    notary: bool = Field(default=True, description="true or false")
    notary_state_url: GuardUrl | None = Field(
        None,
        description="a URL like file:///var/lib/ledger-guard/state or that of another PostgreSQL database",
    )
    notary_key: NotaryKeys = Field(
        (), description="32 bytes in base64; a comma and the key before it may follow"
    )
    notary_origin: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_/~-]{0,199}$",
        description="a name like log.example.org/decisions, of up to 200 characters",
    )
    witness_policy: Path | None = Field(None, description="the path of a policy file (C2SP tlog-policy)")
    witness_interval: float = Field(
        2.0, ge=0.05, le=3600, description="a number of seconds from 0.05 to 3600"
    )
    witness_late_seconds: int = Field(300, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    timestamp_url: HttpUrl | None = Field(None, description="a URL")
    timestamp_interval: int = Field(3600, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    tlog_public: bool = Field(default=False, description="true or false")
