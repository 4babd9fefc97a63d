"""How single settings are written: lists, URLs, origins; each refusal says what to write instead."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, SecretStr

from ledger.sealing.keyring import MalformedSeed, seed_in

SECRET_KEY_CHARACTERS: Final = 32
MANY: Final = 100_000_000
NETWORKS: Final = "addresses or networks, separated by commas, like 10.0.0.1,192.168.0.0/24"
ORIGIN: Final = re.compile(
    r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)
"""RFC 6454, section 6.2: scheme, host and perhaps a port, nothing after it."""

BEARER_TOKEN: Final = re.compile(r"[!-~]+")
"""What can be sent in a header as it is."""


class Problem(msgspec.Struct, frozen=True):
    """One reason not to start: which variable (or other thing) it is about, and what to do."""

    about: str
    advice: str

    def __str__(self) -> str:
        return f"{self.about}: {self.advice}."


def lower(value: object) -> object:
    """Let names be written in capitals."""
    return value.lower() if isinstance(value, str) else value


def _list(value: object) -> object:
    """Split a list written with commas or as JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return msgspec.json.decode(value, type=list[str])
        except msgspec.DecodeError as reason:
            raise ValueError('must be a list, like ["first","second"] or first,second') from reason
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def _exact_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if "*" in origin:
            raise ValueError("a wildcard would let every web site act for whoever is logged in; list them")
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write it like https://console.example.org")
    return origins


def _postgres_url(url: SecretStr) -> SecretStr:
    if urlsplit(url.get_secret_value()).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must be a URL like postgresql://user:password@host:5432/database")
    return url


def _redis_url(url: SecretStr) -> SecretStr:
    if urlsplit(url.get_secret_value()).scheme not in {"redis", "rediss"}:
        raise ValueError("must be a URL like redis://:password@host:6379/0, or rediss:// for TLS")
    return url


def _guard_url(url: SecretStr) -> SecretStr:
    split = urlsplit(url.get_secret_value())
    is_file = split.scheme == "file" and not split.netloc and split.path.startswith("/")
    if not is_file and split.scheme not in {"postgresql", "postgres"}:
        raise ValueError(
            "must be a URL like file:///folder/file or postgresql://user:password@host:5432/database"
        )
    return url


def _http_url(url: SecretStr) -> SecretStr:
    split = urlsplit(url.get_secret_value())
    if split.scheme not in {"http", "https"} or not split.hostname:
        raise ValueError("must be a URL like https://tsa.example.org/timestamp")
    return url


def _bearer_token(token: SecretStr) -> SecretStr:
    if not BEARER_TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("must be printable ASCII without a space, as openssl rand -hex 24 makes it")
    return token


BearerToken = Annotated[SecretStr, AfterValidator(_bearer_token)]
HttpUrl = Annotated[SecretStr, AfterValidator(_http_url)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
GuardUrl = Annotated[SecretStr, AfterValidator(_guard_url)]


def _long_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(key.get_secret_value()) < SECRET_KEY_CHARACTERS for key in keys):
        raise ValueError(f"holds a key of fewer than {SECRET_KEY_CHARACTERS} characters; none was ever taken")
    return keys


def _notary_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    try:
        for key in keys:
            seed_in(key.get_secret_value())
    except MalformedSeed as odd:
        raise ValueError("must be 32 bytes in base64, as openssl rand -base64 32 makes them") from odd
    return keys


SecretKeys = Annotated[tuple[SecretStr, ...], BeforeValidator(_list), AfterValidator(_long_keys)]
NotaryKeys = Annotated[tuple[SecretStr, ...], BeforeValidator(_list), AfterValidator(_notary_keys)]
Origins = Annotated[tuple[str, ...], BeforeValidator(_list), AfterValidator(_exact_origins)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_list)]
