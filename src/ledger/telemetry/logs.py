"""One log format for everybody, ours and the libraries' lines alike: on standard error, without secrets.

A line tells on which trail it was written (``tracing.Trail``): of which request and trace, of whose session, about which
decision.
"""

import json
import logging
import re
import sys
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final, Literal, TextIO
from uuid import UUID

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ledger.tracing import here

Level = Literal["debug", "info", "warning", "error", "critical"]
Format = Literal["console", "json"]

REDACTED: Final = "[redacted]"
CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tabs and line feeds."""
SECRET_NAMES: Final = re.compile(
    r"passw|passphrase|pwd|secret|token|authorization|cookie|credential|otp(?![a-z])|backup_code|"
    r"(private|signing|api|request|master|notary)[_-]?key|key_material|database_url|dsn",
    re.IGNORECASE,
)
OURS: Final = frozenset({"level", "timestamp"})
"""Written by this module alone: no secret gets there, and there is one of each in every line."""
SIMPLE: Final = frozenset({str, int, float, bool, type(None)})
PLAIN: Final = (int, float, type(None), date, time, timedelta, UUID, Enum)
"""What cannot hold a secret."""
NOT_SECRET: Final = frozenset({"fencing_token", "token_type"})
HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"}
)
"""Headers that say who somebody is, and prove it."""
NAMED: Final = (
    r"(?!fencing_token)[\w-]*?(?:passw(?:or)?d|passphrase|pwd|token|secret|credentials?|otp|"
    r"(?:secret|private|signing|api|request|master|notary)[_-]?keys?)"
)
"""Names that a text gives itself: in a query, a form, an environment, in JSON."""
# Whoever asks may have a text of many kB come here, so none may take more than about its length: no two parts of a pattern
# that may both run over the same characters, nor one that runs far from each of many places.
SECRET_TEXT: Final = re.compile(
    r"(?P<database>\b(?:postgres(?:ql)?|rediss?)://[^/\s:@]*:)(?:(?!://)\S)*(?=@)"  # it may have a slash
    r"|(?P<url>://[^/\s:@]*:)[^/\s]*(?=@)"
    r"|(?P<url_in_url>%3A%2F%2F(?:(?!%3A|%2F|%40)[^\s&])*%3A)(?:(?!%40|%2F)[^\s&])*(?=%40)"
    rf"|(?P<header>(?<![\w-])(?:{'|'.join(sorted(HEADERS))})"
    r"(?:[\"']?\s*[:=]\s*|[\"']\s*,\s*)(?:b?[\"'])?(?:(?:basic|bearer)\s+)?)[^\r\n\"']+"
    rf"|(?P<named>(?<![\w-])(?:{NAMED}\s*=\s*|[\"']{NAMED}\\*[\"']\s*:\s*))"
    r"(?:\\+\"[^\"\\]*|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s&\"',;)}\]]+)"
    r"|(?P<bearer>\bBearer(?:\s|%20)+)[A-Za-z0-9._~+/=-]+"
    r"|(?P<basic>\bBasic(?:\s|%20)+)(?P<login>[A-Za-z0-9+/_-]{4,}={0,2})"
    r"|(?P<key>\b(?:ldk_[0-9a-f]+_|whsec_|PRIVATE\+KEY\+[^\s+]+\+[0-9a-f]+\+))[\w+/=-]+"
    r"|(?P<jwt>(?<![\w-])eyJ)[\w-]{8,}\.[\w-]+\.[\w-]*",
    re.IGNORECASE,
)

# uvicorn's own line per request is one too many: ours has the route, the person and the request id.
SILENCED: Final = ("uvicorn.access",)
# A traceback for every try to reopen a connection during an outage; whoever needed the connection says so.
TOO_LOUD: Final = (
    "asyncpg.pool",
    "opentelemetry.exporter.otlp",
    "opentelemetry.sdk._shared_internal",
    "urllib3",
)
ROUTED: Final = ("uvicorn", "uvicorn.error", "asyncio", "asyncpg", "litestar")


def configure_logs(*, level: Level, format: Format, stream: TextIO | None = None) -> None:  # noqa: A002
    """Write every log line, ours and the libraries', in one format to ``stream`` (standard error)."""
    output = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    render = _renderer(format, colours=output.isatty())
    structlog.configure(
        processors=[*_shared(), *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=output),
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(threshold)
    logging.captureWarnings(capture=True)
    for name in ROUTED:
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in TOO_LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in SILENCED:
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = False


def _shared() -> Sequence[Processor]:
    return (
        _add_trail,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )


def _renderer(format: Format, *, colours: bool) -> Sequence[Processor]:  # noqa: A002
    if format == "json":
        return (structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(_json))
    # A plain traceback: the pretty ones print local variables, and with them secrets.
    plain = structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=40
    )
    return (structlog.processors.format_exc_info, redact, _plainly, _escape, plain)


def _json(event: EventDict, **_: object) -> str:
    """Write a line, whatever is in it; what has no form in JSON is written as Python shows it."""
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode()
    except (msgspec.MsgspecError, TypeError, ValueError):  # half a character, or a key that is no text
        return json.dumps({str(name): value for name, value in event.items()}, default=repr)


def _plainly(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write ids and moments as they are written everywhere else, not as Python shows them."""
    return {
        name: msgspec.to_builtins(value) if isinstance(value, date | time | UUID) else value
        for name, value in event.items()
    }


def _escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave no control character of others to a terminal; a traceback keeps its lines."""
    return {
        name: CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _add_trail(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trail = here()
    if trail is None:
        return event
    for name, value in (
        ("request_id", trail.request_id),
        ("trace_id", trail.trace_id),
        ("session", trail.session),
        ("decision", trail.decision),
    ):
        if value:
            event.setdefault(name, value)
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what looks like a secret, by its name or inside text, however deep it lies."""
    if _is_harmless(event):
        return event
    return {name: value if name in OURS else _redacted(name, value) for name, value in event.items()}


def _is_harmless(event: EventDict) -> bool:
    """Say whether a line shows no sign of a secret: nearly none does, which is seen of all of its texts at once."""
    if not SIMPLE.issuperset(map(type, event.values())) or _is_any_secret(tuple(event)):
        return False
    texts = [value for name, value in event.items() if isinstance(value, str) and name not in OURS]
    return not _shows_sign("\n".join(texts))


def _redacted(name: str, value: object) -> object:
    if _is_secret(name) and not isinstance(value, bool | None):
        return REDACTED
    if isinstance(value, str):
        return without_secrets(value)
    return value if isinstance(value, PLAIN) else _deeply_redacted(value)


def _deeply_redacted(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _redacted(_name_of(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _each_redacted(tuple(value))
    if isinstance(value, msgspec.Struct):
        return {field: _redacted(field, getattr(value, field)) for field in value.__struct_fields__}
    text = value.decode("latin-1") if isinstance(value, bytes) else repr(value)
    known = without_secrets(text)
    return value if known == text else known


def _each_redacted(values: tuple[object, ...]) -> list[object]:
    """Blank in each; of a pair that is a header the first is the name of the second."""
    if len(values) == len(("name", "value")) and isinstance(values[0], str | bytes):
        name = _name_of(values[0])
        if name.lower() in HEADERS:
            return [name, REDACTED]
    return [_redacted("", value) for value in values]


def _name_of(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return name not in NOT_SECRET and SECRET_NAMES.search(name) is not None


@lru_cache(maxsize=1024)
def _is_any_secret(names: tuple[str, ...]) -> bool:
    return any(_is_secret(name) for name in names)


def _shows_sign(text: str) -> bool:
    """Say whether a text may hold a secret; the signs one by one: this is asked of every line."""
    return (
        " " in text
        or "=" in text
        or ":" in text
        or "%" in text
        or '"' in text
        or "'" in text
        or "ldk_" in text
        or "whsec_" in text
        or "eyJ" in text
        or "PRIVATE+KEY" in text
    )


def without_secrets(text: str) -> str:
    """Blank passwords of URLs, values named as secret, what proves who somebody is, and keys in ``text``."""
    return SECRET_TEXT.sub(_kept, text) if _shows_sign(text) else text


def _kept(found: re.Match[str]) -> str:
    login = found["login"]
    if login is not None and not _is_login(login):
        return found[0]
    return next(part for part in found.groups() if part) + REDACTED


def _is_login(encoded: str) -> bool:
    """Say whether the word behind "Basic" is a name and a password (RFC 7617), and not the next of a sentence."""
    padded = encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)
    try:
        return b":" in urlsafe_b64decode(padded.replace("+", "-").replace("/", "_"))
    except ValueError:
        return False
