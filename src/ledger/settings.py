"""What an installation may choose, for the service and for the commands that work beside it.

Clients of a running service read settings of their own (``cli/client_settings.py``); nobody else reads the
environment. Settings are never changed after they were read, and show no secret when they are printed.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ledger.domain.errors import Invalid
from ledger.identity.guessable import is_guessable_key, is_guessable_password
from ledger.identity.secret_key import SecretKeyUnusable, kept_secret_key
from ledger.setting_values import (
    SECRET_KEY_CHARACTERS,
    BearerToken,
    GuardUrl,
    HttpUrl,
    Networks,
    NotaryKeys,
    Origins,
    PostgresUrl,
    RedisUrl,
    SecretKeys,
    lower,
)

PREFIX: Final = "LEDGER_"
UNUSABLE_KEY_ADVICE: Final = "set LEDGER_SECRET_KEY, or make the file readable, or remove it"
KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE
MANY: Final = 100_000_000
NETWORKS: Final = "addresses or networks, separated by commas, like 10.0.0.1,192.168.0.0/24"

NOT_SERVICE_SETTINGS: Final = frozenset({"LEDGER_URL", "LEDGER_TOKEN"})
"""Names that clients of a running service read; known to the service, of no meaning to it."""

TEST_PREFIX: Final = "LEDGER_TEST_"
# Kubernetes puts these into every pod when a service is called "ledger".
KUBERNETES_LINK: Final = re.compile(r"LEDGER_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_.*)")
KUBERNETES_ADVICE: Final = (
    "Kubernetes made it for a service called 'ledger': set 'enableServiceLinks: false' in the pod"
)

NO_EFFECT_YET: Final = frozenset({"read_database_url", "otlp_endpoint", "trace_sample_ratio"})
"""Settings of later releases: known, so that they are not refused, and named at start when they are set."""

LISTS_OF_NETWORKS: Final = frozenset({"trusted_proxies", "webhook_allowed_networks"})


class Problem(msgspec.Struct, frozen=True):
    """One reason not to start: which variable (or other thing) it is about, and what to do."""

    about: str
    advice: str

    def __str__(self) -> str:
        return f"{self.about}: {self.advice}."


class SettingsRefused(Invalid):
    """The settings do not allow a start.

    Context: ``problems``: all of them, one line each.
    """

    code = "settings-refused"
    advice = "Change what is listed and start again."

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Take every problem that was found; a start may add its own to those of the settings."""
        super().__init__(problems=[str(problem) for problem in problems])
        self.problems = tuple(problems)

    def lines(self) -> list[str]:
        """Say what is wrong, one line a problem, after one line that says so."""
        return [f"{self.title()} {self.advice}", *(f"  - {problem}" for problem in self.problems)]


class Environment(StrEnum):
    """How strict a start is."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


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


class Settings(BaseSettings):
    """All choices of one installation; descriptions say what a value must be.

    Build it with ``load``: a plain call checks single values, but neither reads the environment nor
    compares settings with each other.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False
    )

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
    database_url: PostgresUrl | None = Field(None, description="a PostgreSQL URL")
    owner_database_url: PostgresUrl | None = Field(None, description="a PostgreSQL URL")
    read_database_url: PostgresUrl | None = Field(None, description="a PostgreSQL URL")
    pg_bin: Path | None = Field(None, description="the folder that holds 'postgres' and 'initdb'")
    pg_user: str | None = Field(None, description="the name of a user of this machine")
    db_pool_min_size: int = Field(2, ge=1, le=1000, description="a whole number from 1 to 1000")
    db_pool_max_size: int = Field(8, ge=1, le=1000, description="a whole number from 1 to 1000")
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
    snapshot_every: int = Field(
        100, ge=0, le=100_000, description="a number of events from 1 to 100000, or 0 for no snapshots"
    )
    cors_origins: Origins = Field((), description="exact origins, separated by commas")
    trusted_proxies: Networks = Field((), description=NETWORKS)
    webhook_allowed_networks: Networks = Field((), description=NETWORKS)
    redis_url: RedisUrl | None = Field(None, description="a Redis URL")
    requests_per_minute: int = Field(6_000, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    registrations_per_minute: int = Field(60, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    failed_logins: int = Field(10, ge=1, le=10_000, description="a whole number from 1 to 10000")
    failed_logins_per_address: int = Field(100, ge=1, le=10_000, description="a whole number from 1 to 10000")
    second_factor_tries: int = Field(10, ge=1, le=10_000, description="a whole number from 1 to 10000")
    guessing_minutes: int = Field(15, ge=1, le=1440, description="a whole number of minutes from 1 to 1440")
    max_waiters: int = Field(10_000, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
    max_streams: int = Field(1_000, ge=1, le=MANY, description=f"a whole number from 1 to {MANY}")
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
    otlp_endpoint: str | None = Field(None, description="a URL")
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

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read ``environ``; a variable that is empty counts as not set.

        Raises:
            SettingsRefused: with every problem there is, not just the first.
        """
        given = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
        problems = list(_unknown(given))
        values = {
            field: given[variable]
            for field in cls.model_fields
            if given.get(variable := variable_of(field), "") != ""
        }
        try:
            settings = cls.model_validate(values)
            unreadable: set[str] = set()
        except ValidationError as refusal:
            advice = _advice_by_field(refusal, values)
            unreadable = set(advice)
            problems += (Problem(variable_of(field), said) for field, said in advice.items())
            # The rest is judged all the same: whoever starts us wants to know everything at once.
            settings = cls.model_validate({k: v for k, v in values.items() if k not in unreadable})
        for fields, rule in RULES:
            if unreadable.isdisjoint(fields):
                problems += rule(settings)
        if problems:
            raise SettingsRefused(problems)
        return settings

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Name the variables that are set but mean nothing in this release, to be said at start."""
        return tuple(variable_of(name) for name in sorted(self.model_fields_set & NO_EFFECT_YET))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment to ``load``, so that a test's settings are what the test wrote."""
        return (init_settings,)


def variable_of(field: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + field.upper()


def known_names() -> list[str]:
    """List every name that may be in the environment, but for those of the tests."""
    return sorted({variable_of(field) for field in Settings.model_fields} | NOT_SERVICE_SETTINGS)


def ensure_secret_key(settings: Settings) -> SecretStr:
    """Give the key that signs tokens; in development it is made once and kept in the data folder.

    Any number of processes may ask at once: they get the same key.

    Raises:
        SettingsRefused: production without a key, or a key file that cannot be used.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    if settings.is_production:
        raise SettingsRefused(list(_production(settings)))
    path = settings.data_dir.absolute() / "secret_key"
    try:
        key = kept_secret_key(path)
    except SecretKeyUnusable as unusable:
        advice = f"cannot be used ({unusable.context['reason']}); {UNUSABLE_KEY_ADVICE}"
        raise SettingsRefused([Problem(str(path), advice)]) from unusable
    if len(key) < SECRET_KEY_CHARACTERS:
        raise SettingsRefused([Problem(str(path), "is too short for a secret key; remove it")])
    return SecretStr(key)


def _unknown(given: Mapping[str, str]) -> Iterator[Problem]:
    names = known_names()
    for name in sorted(given):
        if name in names or name.startswith(TEST_PREFIX):
            continue
        if KUBERNETES_LINK.fullmatch(name):
            yield Problem(name, KUBERNETES_ADVICE)
            continue
        nearest = get_close_matches(name.upper(), names, n=1, cutoff=0)[0]
        yield Problem(name, f"is no setting; the nearest one is {nearest}")


def _advice_by_field(refusal: ValidationError, values: Mapping[str, str]) -> dict[str, str]:
    """Say each field's trouble once, in our words: a field of several types gives several errors."""
    advice: dict[str, str] = {}
    for error in refusal.errors():
        field = str(error["loc"][0])
        if field in values:  # the others only say that they wait for these
            advice.setdefault(field, _advice(field, values[field], error))
    return advice


def _advice(field: str, value: str, error: ErrorDetails) -> str:
    if error["type"] == "value_error" and field not in LISTS_OF_NETWORKS:
        return str(error["ctx"]["error"])
    if field == "port" and value.startswith("tcp://"):
        return KUBERNETES_ADVICE
    info = Settings.model_fields[field]
    shown = "" if "Secret" in str(info.annotation) else f", not {value[:100]!r}"
    return f"must be {info.description}{shown}"


def _pool(settings: Settings) -> Iterator[Problem]:
    least, most = settings.db_pool_min_size, settings.db_pool_max_size
    if least > most:
        about = "LEDGER_DB_POOL_MIN_SIZE"
        yield Problem(about, f"{least} is above LEDGER_DB_POOL_MAX_SIZE, {most}; lower it or raise the other")


def _metrics(settings: Settings) -> Iterator[Problem]:
    if settings.metrics_port and settings.metrics_port == settings.port:
        advice = "is LEDGER_PORT too; choose another, or leave it out to have the metrics there"
        yield Problem("LEDGER_METRICS_PORT", advice)


def _guard(settings: Settings) -> Iterator[Problem]:
    """Refuse a guard that a restored backup of the ledger would bring along."""
    if settings.notary_state_url is not None and settings.notary_state_url in {
        settings.database_url,
        settings.owner_database_url,
    }:
        about = "LEDGER_NOTARY_STATE_URL"
        yield Problem(
            about, "must be another database than the ledger's: it guards against a restore of that one"
        )


def _owner(settings: Settings) -> Iterator[Problem]:
    if settings.owner_database_url is not None and settings.database_url is None:
        yield Problem(
            "LEDGER_OWNER_DATABASE_URL", "needs LEDGER_DATABASE_URL, the service's own login, beside it"
        )


def _production(settings: Settings) -> Iterator[Problem]:
    if not settings.is_production:
        return
    key, password = settings.secret_key, settings.admin_password
    advice = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if key is None:
        yield Problem(
            "LEDGER_SECRET_KEY", f"production needs at least {SECRET_KEY_CHARACTERS} characters; {advice}"
        )
    elif is_guessable_key(key.get_secret_value()):
        yield Problem("LEDGER_SECRET_KEY", f"is easy to guess; {advice}")
    if any(is_guessable_key(previous.get_secret_value()) for previous in settings.previous_secret_keys):
        yield Problem("LEDGER_PREVIOUS_SECRET_KEYS", "holds a key that is easy to guess; leave it out")
    if password is not None and is_guessable_password(password.get_secret_value(), settings.admin_username):
        yield Problem(
            "LEDGER_ADMIN_PASSWORD", "is easy to guess; choose another, or none to have a random one made"
        )


RULES: Final = (
    (("db_pool_min_size", "db_pool_max_size"), _pool),
    (("port", "metrics_port"), _metrics),
    (("database_url", "owner_database_url"), _owner),
    (("database_url", "owner_database_url", "notary_state_url"), _guard),
    (
        ("environment", "secret_key", "previous_secret_keys", "admin_username", "admin_password"),
        _production,
    ),
)
"""What settings owe each other; a rule is left out when one of its fields could not be read."""
