"""What a command does to a kind of item: the event it causes, or the reason why not."""

import re
from typing import Final, assert_never, get_args

from ledger.domain.authority import ADMINS, Authority, require
from ledger.domain.decider import Decider
from ledger.domain.errors import Invalid, ReasonMissing
from ledger.domain.ids import PersonId
from ledger.domain.kind.commands import KindCommand, RegisterKind, RetireKind, ReviseKind
from ledger.domain.kind.events import KindEvent, KindRegistered, KindRetired, KindRevised
from ledger.domain.kind.state import KindRule, KindState, Retired, Unregistered, evolve, known
from ledger.domain.terms import BUILT_IN_KIND

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
MAX_TITLE: Final = 200
MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_VERSIONS: Final = 100
"""A kind's state holds the schemas of all its versions."""


class BadKindName(Invalid):
    """A kind's name is 1 to 50 small letters, digits and underscores, a letter first."""

    code = "bad-kind-name"


class BadKindTitle(Invalid):
    """A kind's title has 1 to 200 characters, not all of them blank."""

    code = "bad-kind-title"


class SchemaTooLarge(Invalid):
    """A kind's JSON Schema has at most 64 KiB.

    Context: its ``size`` and the ``limit``, in bytes.
    """

    code = "schema-too-large"


class BuiltInKind(KindRule):
    """This kind is built in: nobody registers, revises or retires it."""

    code = "built-in-kind"
    advice = "Register a kind of another name."


class KindExists(KindRule):
    """There is a kind of this name, or there was one."""

    code = "kind-exists"
    advice = "Revise it, or register a kind of another name."


class TooManyVersions(KindRule):
    """A kind has at most 100 versions."""

    code = "too-many-versions"
    advice = "Register a kind of another name, and retire this one."


def decide(command: KindCommand, state: KindState) -> tuple[KindEvent, ...]:
    """Say what ``command`` causes; no events: it is so already.

    Raises:
        RuleViolation: the state forbids it, or the kind is built in.
        Invalid: name, title, schema or reason are not as they must be.
        NotFound: there is no such kind.
        Refused: only administrators may.
        Unauthenticated: the asking person's session has ended.
    """
    by = _administrator(command.by)
    if command.reason.isspace():
        raise ReasonMissing
    if command.name == BUILT_IN_KIND:
        raise BuiltInKind(kind=command.name)
    match command:
        case RegisterKind():
            return _register(command, state, by)
        case ReviseKind():
            return _revise(command, state, by)
        case RetireKind():
            return _retire(command, state, by)
        case _:
            assert_never(command)


def _register(command: RegisterKind, state: KindState, by: PersonId) -> tuple[KindEvent, ...]:
    if not NAME.fullmatch(command.name):
        raise BadKindName(kind=command.name)
    if not isinstance(state, Unregistered):
        raise KindExists(kind=command.name)
    registered = KindRegistered(
        at=command.now,
        name=command.name,
        title=_title(command.title),
        schema=_schema(command.schema),
        by=by,
        reason=command.reason,
    )
    return (registered,)


def _revise(command: ReviseKind, state: KindState, by: PersonId) -> tuple[KindEvent, ...]:
    kind = known(state)
    title = kind.title if command.title is None else _title(command.title)
    if (title, _schema(command.schema)) == (kind.title, kind.schema):
        return ()
    if kind.version >= MAX_VERSIONS:
        raise TooManyVersions(kind=kind.name)
    revised = KindRevised(
        at=command.now,
        name=kind.name,
        version=kind.version + 1,
        title=title,
        schema=command.schema,
        by=by,
        reason=command.reason,
    )
    return (revised,)


def _retire(command: RetireKind, state: KindState, by: PersonId) -> tuple[KindEvent, ...]:
    if isinstance(state, Retired):
        return ()
    kind = known(state)
    if not command.reason:  # white space was refused already
        raise ReasonMissing
    return (KindRetired(at=command.now, name=kind.name, by=by, reason=command.reason),)


def _title(title: str) -> str:
    if not (title.strip() and len(title) <= MAX_TITLE):
        raise BadKindTitle
    return title


def _schema(schema: str) -> str:
    size = len(schema.encode())
    if size > MAX_SCHEMA_BYTES:
        raise SchemaTooLarge(size=size, limit=MAX_SCHEMA_BYTES)
    return schema


def _administrator(by: Authority) -> PersonId:
    require(by, ADMINS)
    return by.person


KIND: Final = Decider[KindCommand, KindState, KindEvent](
    category="kind",
    event_types=get_args(KindEvent),
    state_type=KindState,
    initial=Unregistered(),
    decide=decide,
    evolve=evolve,
)
"""The Kind aggregate, as a value."""
