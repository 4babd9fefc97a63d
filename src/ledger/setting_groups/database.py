"""Which PostgreSQL, and how it is used."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from ledger.setting_values import PostgresUrl


class DatabaseSettings(BaseSettings):
    """Addresses, logins and connections."""

    database_url: PostgresUrl | None = Field(None, description="a PostgreSQL URL")
    owner_database_url: PostgresUrl | None = Field(None, description="a PostgreSQL URL")
    read_database_url: PostgresUrl | None = Field(None, description="a PostgreSQL URL")
    pg_bin: Path | None = Field(None, description="the folder that holds 'postgres' and 'initdb'")
    pg_user: str | None = Field(None, description="the name of a user of this machine")
    db_pool_min_size: int = Field(2, ge=1, le=1000, description="a whole number from 1 to 1000")
    db_pool_max_size: int = Field(8, ge=1, le=1000, description="a whole number from 1 to 1000")
    snapshot_every: int = Field(
        100, ge=0, le=100_000, description="a number of events from 1 to 100000, or 0 for no snapshots"
    )
