"""The bodies of the calls about kinds of items, in and out."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from ledger.api.wire import JsonObject, Threat
from ledger.domain.event import Utc
from ledger.domain.ids import PersonId
from ledger.domain.kind.events import KindEvent, KindRegistered, KindRetired, KindRevised
from ledger.domain.terms import BUILT_IN_KIND, BUILT_IN_VERSION
from ledger.identity.people import ERASED
from ledger.projections.kind_rows import KindRow

BUILT_IN_TITLE: Final = "A threat that a security engine analysed"

Why = Annotated[str, msgspec.Meta(max_length=65_536)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Title = Annotated[str, msgspec.Meta(max_length=1_000)]


class NewKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of items; ``schema`` is the JSON Schema (draft 2020-12) of their payload, an object."""

    name: Name
    title: Title
    schema: JsonObject
    reason: Why = ""


class KindRevision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another schema for later items; without a ``title`` the kind keeps its own."""

    schema: JsonObject
    title: Title | None = None
    reason: Why = ""


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done."""

    reason: Annotated[Why, msgspec.Meta(min_length=1)]


class KindChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a kind; ``kind_version`` is the latest (``None``: there will be none any more)."""

    message: str
    kind: str
    kind_version: int | None


class KindShown(msgspec.Struct, frozen=True, kw_only=True):
    """A kind in a list; moments are ``None`` for the built-in one, which was always there."""

    kind: str
    title: str
    kind_version: int
    is_built_in: bool
    is_retired: bool
    registered_at: Utc | None
    changed_at: Utc | None


class KindVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version: its schema as it was registered, by whom, when and why."""

    kind_version: int
    title: str
    schema: JsonObject
    at: Utc | None
    by: str | None
    reason: str


class Retirement(msgspec.Struct, frozen=True, kw_only=True):
    """Who retired a kind, when and why."""

    at: Utc
    by: str
    reason: str


class KindTold(msgspec.Struct, frozen=True, kw_only=True):
    """A kind with all its versions, the latest last."""

    kind: str
    title: str
    kind_version: int
    is_built_in: bool
    is_retired: bool
    versions: tuple[KindVersion, ...]
    retired: Retirement | None = None


def built_in_shown() -> KindShown:
    """Show the built-in kind in a list."""
    return KindShown(
        kind=BUILT_IN_KIND,
        title=BUILT_IN_TITLE,
        kind_version=BUILT_IN_VERSION,
        is_built_in=True,
        is_retired=False,
        registered_at=None,
        changed_at=None,
    )


def built_in_told() -> KindTold:
    """Tell of the built-in kind."""
    schema = msgspec.Raw(msgspec.json.encode(msgspec.json.schema(Threat)))
    version = KindVersion(
        kind_version=BUILT_IN_VERSION, title=BUILT_IN_TITLE, schema=schema, at=None, by=None, reason=""
    )
    return KindTold(
        kind=BUILT_IN_KIND,
        title=BUILT_IN_TITLE,
        kind_version=BUILT_IN_VERSION,
        is_built_in=True,
        is_retired=False,
        versions=(version,),
    )


def shown(row: KindRow) -> KindShown:
    """Show a registered kind in a list."""
    return KindShown(
        kind=row.kind,
        title=row.title,
        kind_version=row.kind_version,
        is_built_in=False,
        is_retired=row.is_retired,
        registered_at=row.registered_at,
        changed_at=row.changed_at,
    )


def told(history: Sequence[KindEvent], names: Mapping[PersonId, str]) -> KindTold:
    """Tell of a kind by all that happened to it."""
    versions = tuple(
        _version(event, names) for event in history if isinstance(event, KindRegistered | KindRevised)
    )
    retired = next((event for event in history if isinstance(event, KindRetired)), None)
    return KindTold(
        kind=history[0].name,
        title=versions[-1].title,
        kind_version=versions[-1].kind_version,
        is_built_in=False,
        is_retired=retired is not None,
        versions=versions,
        retired=None
        if retired is None
        else Retirement(at=retired.at, by=names.get(retired.by, ERASED), reason=retired.reason),
    )


def version_of(event: KindRegistered | KindRevised) -> int:
    """Number the version that an event began."""
    return event.version if isinstance(event, KindRevised) else 1


def _version(event: KindRegistered | KindRevised, names: Mapping[PersonId, str]) -> KindVersion:
    return KindVersion(
        kind_version=version_of(event),
        title=event.title,
        schema=msgspec.Raw(event.schema.encode()),
        at=event.at,
        by=names.get(event.by, ERASED),
        reason=event.reason,
    )
