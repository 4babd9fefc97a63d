"""What a kind of item is at a moment, and what each event makes of it.

The legal moves, by state and command. ``-`` is nothing to do; ``or`` separates what the same command may
cause; ``refused`` says that it never can. Where events are listed, the guards in ``decide`` may still refuse.
``tests/domain/test_legal_moves.py`` walks it.

    Unregistered  RegisterKind  KindRegistered
    Unregistered  ReviseKind    refused KindNotFound
    Unregistered  RetireKind    refused KindNotFound
    Registered    RegisterKind  refused KindExists
    Registered    ReviseKind    - or KindRevised
    Registered    RetireKind    KindRetired
    Retired       RegisterKind  refused KindExists
    Retired       ReviseKind    refused KindIsRetired
    Retired       RetireKind    -

What is retired stays so: a name that meant one thing yesterday never means another one tomorrow.
"""

from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.errors import NotFound, RuleViolation
from ledger.domain.kind.events import KindEvent, KindRegistered, KindRetired, KindRevised


class KindNotFound(NotFound):
    """There is no such kind: it was not found."""

    code = "kind-not-found"
    advice = "GET /api/kinds lists what there is."


class KindRule(RuleViolation):
    """What became of the kind forbids it."""

    code = "kind-rule"


class KindIsRetired(KindRule):
    """The kind is retired."""

    code = "kind-retired"
    advice = "Register a kind of another name."


class Unregistered(msgspec.Struct, frozen=True, tag="unregistered"):
    """Nobody knows it."""


class Registered(msgspec.Struct, frozen=True, kw_only=True, tag="registered"):
    """It can be submitted; ``schemas`` are those of its versions 1, 2, … in turn."""

    name: str
    title: str
    schemas: tuple[str, ...]

    @property
    def version(self) -> int:
        """Name the version under which items are submitted now."""
        return len(self.schemas)

    @property
    def schema(self) -> str:
        """Give the JSON Schema of that version."""
        return self.schemas[-1]


class Retired(msgspec.Struct, frozen=True, kw_only=True, tag="retired"):
    """It could be submitted once; its schemas say what those items are."""

    name: str
    title: str
    schemas: tuple[str, ...]


KindState: TypeAlias = Unregistered | Registered | Retired


def known(state: KindState) -> Registered:
    """Give what can be submitted.

    Raises:
        KindNotFound: nobody knows it.
        KindIsRetired: not any more.
    """
    match state:
        case Unregistered():
            raise KindNotFound
        case Registered():
            return state
        case Retired():
            raise KindIsRetired(kind=state.name)
        case _:
            assert_never(state)


def evolve(state: KindState, event: KindEvent) -> KindState:
    """Apply what happened; an event that does not fit the stage leaves it as it is."""
    match event:
        case KindRegistered():
            return Registered(name=event.name, title=event.title, schemas=(event.schema,))
        case KindRevised():
            return _revised(state, event)
        case KindRetired():
            return _retired(state)
        case _:
            assert_never(event)


def _revised(state: KindState, event: KindRevised) -> KindState:
    if isinstance(state, Registered):
        return replace(state, title=event.title, schemas=(*state.schemas, event.schema))
    return state


def _retired(state: KindState) -> KindState:
    if isinstance(state, Registered):
        return Retired(name=state.name, title=state.title, schemas=state.schemas)
    return state
