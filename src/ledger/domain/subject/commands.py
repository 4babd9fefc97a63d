"""What administrators, and the operator of the machine, want for somebody's personal data.

``by`` is ``None`` for the operator, who may ask and hold: what takes a second person takes an administrator.
"""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority
from ledger.domain.event import Utc
from ledger.domain.ids import HoldId, SubjectId
from ledger.domain.subject.events import LegalBasis, Removed, SubjectKind


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data it is about."""

    kind: SubjectKind
    subject: SubjectId


class RequestErasure(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for it; ``is_kept``: something is kept of them at this moment."""

    now: Utc
    by: Authority | None
    about: Subject
    is_kept: bool
    basis: LegalBasis
    reason: str


class WithdrawErasure(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for it no more; only whoever asked can."""

    now: Utc
    by: Authority
    about: Subject
    reason: str


class RefuseErasure(msgspec.Struct, frozen=True, kw_only=True):
    """Say no to what somebody else has asked for."""

    now: Utc
    by: Authority
    about: Subject
    reason: str


class ApproveErasure(msgspec.Struct, frozen=True, kw_only=True):
    """Say yes, by which it happens.

    ``is_active``: the person's account lets them in still. ``removed``: what goes, in the transaction of the event.
    """

    now: Utc
    by: Authority
    about: Subject
    is_active: bool
    removed: Removed


class PlaceHold(msgspec.Struct, frozen=True, kw_only=True):
    """Let nothing be erased until this is lifted; ``is_kept`` as in ``RequestErasure``."""

    now: Utc
    by: Authority | None
    about: Subject
    is_kept: bool
    hold: HoldId
    reason: str


class LiftHold(msgspec.Struct, frozen=True, kw_only=True):
    """Take one hold away."""

    now: Utc
    by: Authority | None
    about: Subject
    hold: HoldId
    reason: str


SubjectCommand: TypeAlias = (
    RequestErasure | WithdrawErasure | RefuseErasure | ApproveErasure | PlaceHold | LiftHold
)
