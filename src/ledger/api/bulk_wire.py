"""The bodies of the calls that act on many decisions at once."""

from typing import Annotated, Final, Literal

import msgspec

from ledger.api.problems import Problem
from ledger.api.wire import MAX_ID, Chosen, Long, Sha256
from ledger.domain.ids import BulkId, DecisionId, Digest

MOST: Final = 200
"""Decisions in one selection."""

Ids = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)], ...],
    msgspec.Meta(min_length=1, max_length=MOST),
]


class Ruling(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="decide", tag_field="act"
):
    """One verdict for all of them."""

    status: Literal["approved", "rejected", "abstained"]
    approved_actions: Chosen
    notes: Long


class Handing(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="assign", tag_field="act"
):
    """One person for all of them to work on (``null``: everybody again)."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]


class Preview(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which decisions, and what is to be done to each."""

    analysis_ids: Ids
    wish: Ruling | Handing


class Selected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision as the preview showed it."""

    analysis_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    subject_digest: Sha256


Selection = Annotated[tuple[Selected, ...], msgspec.Meta(min_length=1, max_length=MOST)]


class BulkDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was previewed, to be carried out."""

    items: Selection
    selection_digest: Sha256
    wish: Ruling


class BulkAssignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was previewed, to be carried out."""

    items: Selection
    selection_digest: Sha256
    wish: Handing


class Foreseen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would happen to one decision; ``becomes`` is how it would stand, ``problem`` why nothing would happen."""

    analysis_id: DecisionId
    ok: bool
    subject_digest: Digest | None = None
    becomes: str | None = None
    problem: Problem | None = None


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen; those that are ``ok`` can be carried out by naming ``selection_digest`` with ``items``.

    ``selection_digest`` is ``null`` where none is.
    """

    kind: str | None
    selection_digest: Digest | None
    items: tuple[Foreseen, ...]


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to one decision: how it stands now, or why nothing happened."""

    analysis_id: DecisionId
    ok: bool
    status: str | None = None
    problem: Problem | None = None


class BulkDone(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to each; ``bulk`` marks their events in the history."""

    bulk: BulkId
    done: int
    refused: int
    results: tuple[Result, ...]
