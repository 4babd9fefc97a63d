"""How much callers may ask for, and where that is counted."""

from pydantic import Field
from pydantic_settings import BaseSettings

from ledger.setting_values import MANY, RedisUrl


class LimitSettings(BaseSettings):
    """Limits of callers and of one process."""

    redis_url: RedisUrl | None = Field(None, description="a Redis URL")
    requests_per_minute: int = Field(6_000, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    registrations_per_minute: int = Field(60, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    failed_logins: int = Field(10, ge=1, le=10_000, description="a whole number from 1 to 10000")
    failed_logins_per_address: int = Field(100, ge=1, le=10_000, description="a whole number from 1 to 10000")
    second_factor_tries: int = Field(10, ge=1, le=10_000, description="a whole number from 1 to 10000")
    guessing_minutes: int = Field(15, ge=1, le=1440, description="a whole number of minutes from 1 to 1440")
    max_waiters: int = Field(10_000, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    max_streams: int = Field(1_000, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
