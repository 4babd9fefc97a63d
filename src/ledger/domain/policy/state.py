"""Which terms hold for a kind at a moment and which are proposed, and what each event makes of them.

The legal moves, by state and command; ``refused`` says that it never can. Where events are listed, the guards in
``decide`` and ``rules`` may still refuse. ``tests/domain/test_legal_moves.py`` walks it.

    ByDefault  DraftPolicy     PolicyDrafted
    ByDefault  PublishPolicy   PolicyPublished
    ByDefault  WithdrawPolicy  PolicyWithdrawn
    ByDefault  RetirePolicy    refused NotInForce
    InForce    DraftPolicy     PolicyDrafted
    InForce    PublishPolicy   PolicyPublished
    InForce    WithdrawPolicy  PolicyWithdrawn
    InForce    RetirePolicy    PolicyRetired

One policy of a kind is in force at most: publishing the next one retires it.
"""

from typing import TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from ledger.domain.ids import PersonId
from ledger.domain.policy.events import (
    PolicyDrafted,
    PolicyEvent,
    PolicyPublished,
    PolicyRetired,
    PolicyWithdrawn,
)
from ledger.domain.terms import DEFAULT_VERSION, Policy, default_policy


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Terms that somebody proposes; ``terms.version`` is theirs."""

    terms: Policy
    by: PersonId


class ByDefault(msgspec.Struct, frozen=True, kw_only=True, tag="by-default"):
    """Nothing is published; ``last_version`` is the last one given to a draft."""

    drafts: tuple[Draft, ...] = ()
    last_version: int = DEFAULT_VERSION


class InForce(msgspec.Struct, frozen=True, kw_only=True, tag="in-force"):
    """``terms`` were published and hold."""

    terms: Policy
    drafts: tuple[Draft, ...] = ()
    last_version: int = DEFAULT_VERSION


PolicyState: TypeAlias = ByDefault | InForce


def terms_of(state: PolicyState, kind: str) -> Policy:
    """Say under which terms a decision of ``kind`` is submitted now."""
    match state:
        case ByDefault():
            return default_policy(kind)
        case InForce():
            return state.terms
        case _:
            assert_never(state)


def draft_of(state: PolicyState, version: int) -> Draft | None:
    """Find an open draft; ``None``: it is none, or not any more."""
    return next((draft for draft in state.drafts if draft.terms.version == version), None)


def evolve(state: PolicyState, event: PolicyEvent) -> PolicyState:
    """Apply what happened; an event that does not fit leaves it as it is."""
    match event:
        case PolicyDrafted():
            drafts = (*state.drafts, Draft(terms=event.terms, by=event.by))
            return replace(state, drafts=drafts, last_version=event.version)
        case PolicyPublished():
            return _published(state, event.version)
        case PolicyWithdrawn():
            return replace(state, drafts=_without(state, event.version))
        case PolicyRetired():
            return ByDefault(drafts=state.drafts, last_version=state.last_version)
        case _:
            assert_never(event)


def _published(state: PolicyState, version: int) -> PolicyState:
    draft = draft_of(state, version)
    if draft is None:
        return state
    return InForce(terms=draft.terms, drafts=_without(state, version), last_version=state.last_version)


def _without(state: PolicyState, version: int) -> tuple[Draft, ...]:
    return tuple(draft for draft in state.drafts if draft.terms.version != version)
