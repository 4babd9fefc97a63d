"""The keys that sign tokens, the first administrator, and what one account may hold."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from ledger.setting_values import SECRET_KEY_CHARACTERS, SecretKeys


class PeopleSettings(BaseSettings):
    """Who logs in, and with what."""

    secret_key: SecretStr | None = Field(
        None, min_length=SECRET_KEY_CHARACTERS, description=f"at least {SECRET_KEY_CHARACTERS} characters"
    )
    previous_secret_keys: SecretKeys = Field(
        (),
        description=f"keys of at least {SECRET_KEY_CHARACTERS} characters, separated by commas or as a JSON list",
    )
    admin_username: str = Field("admin", min_length=3, max_length=50, description="3 to 50 characters")
    admin_password: SecretStr | None = Field(None, min_length=8, description="at least 8 characters")
    max_sessions: int = Field(500, ge=1, le=100_000, description="a whole number from 1 to 100000")
    max_claims: int | None = Field(None, ge=1, le=100_000, description="a whole number from 1 to 100000")
