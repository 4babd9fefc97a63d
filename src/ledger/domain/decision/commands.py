"""What somebody wants of a decision: wishes, each with the facts it needs and the moment it is made."""

from typing import TypeAlias

import msgspec

from ledger.domain.authority import Authority, Role
from ledger.domain.decision.events import Choice, Milestone, Outcome, Priority
from ledger.domain.decision.item import Item, Parameter
from ledger.domain.event import Utc
from ledger.domain.ids import BulkId, DecisionId, Digest, EvidenceId, LeaseId, PersonId, SubjectKeyId
from ledger.domain.terms import Action, Policy


class Colleague(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody that work is given to, as their account says."""

    person: PersonId
    role: Role
    is_active: bool
    groups: tuple[str, ...] = ()


class SubmitDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a decision on ``item`` under ``policy``, which is snapshotted.

    ``on_behalf_of`` is whose wish it is (``None``: the submitter's own), ``sealed_under`` the key that what is personal
    in it has been sealed under (``None``: nothing is).
    """

    now: Utc
    by: Authority
    decision_id: DecisionId
    item: Item
    kind_version: int
    priority: Priority
    created_at: Utc
    policy: Policy
    on_behalf_of: PersonId | None = None
    sealed_under: SubjectKeyId | None = None


class ClaimDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Take it off the queue; a lead may take it over from a living lease, with a ``reason``."""

    now: Utc
    by: Authority
    lease_id: LeaseId
    reason: str = ""


class RenewClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Keep it for another lease."""

    now: Utc
    by: Authority
    lease_id: LeaseId


class ReleaseClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Give it back to the queue; ``by`` is ``None`` when the session that held it has ended."""

    now: Utc
    by: Authority | None
    lease_id: LeaseId


class OfferHandover(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a colleague to take the claim over."""

    now: Utc
    by: Authority
    lease_id: LeaseId
    to: Colleague


class AcceptHandover(msgspec.Struct, frozen=True, kw_only=True):
    """Take over what was offered, under a new lease."""

    now: Utc
    by: Authority
    lease_id: LeaseId


class Assign(msgspec.Struct, frozen=True, kw_only=True):
    """Give it to somebody, or to everybody again (``None``)."""

    now: Utc
    by: Authority
    to: Colleague | None
    reason: str
    bulk: BulkId | None = None


class Reprioritise(msgspec.Struct, frozen=True, kw_only=True):
    """Say how urgent it really is."""

    now: Utc
    by: Authority
    priority: Priority
    reason: str


class CastVote(msgspec.Struct, frozen=True, kw_only=True):
    """Approve it, as it is or with other ``parameters``, reject it, or abstain.

    ``lease_id`` and ``fencing_token`` come together or not at all; ``subject_digest`` is what the
    voter was shown (``None``: what is current, for clients that do not name it).
    """

    now: Utc
    by: Authority
    choice: Choice
    approved_actions: tuple[Action, ...]
    notes: str
    subject_digest: Digest | None = None
    lease_id: LeaseId | None = None
    fencing_token: int | None = None
    parameters: tuple[Parameter, ...] = ()
    bulk: BulkId | None = None


class Escalate(msgspec.Struct, frozen=True, kw_only=True):
    """Move it up one level.

    What is named of ``subject_digest`` and of the lease has to hold, as for a vote; none of it need be named.
    """

    now: Utc
    by: Authority
    reason: str
    approved_actions: tuple[Action, ...] = ()
    notes: str = ""
    subject_digest: Digest | None = None
    lease_id: LeaseId | None = None
    fencing_token: int | None = None


class PassMilestone(msgspec.Struct, frozen=True, kw_only=True):
    """Note that half of the time, or all of it, is over; what is not due changes nothing."""

    now: Utc
    milestone: Milestone


class Expire(msgspec.Struct, frozen=True, kw_only=True):
    """End it at its deadline; before that, and after its end, nothing changes."""

    now: Utc


class RequestInformation(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the submitter something, as the holder of ``lease_id``."""

    now: Utc
    by: Authority
    lease_id: LeaseId
    question: str


class ProvideInformation(msgspec.Struct, frozen=True, kw_only=True):
    """Answer, perhaps with another ``item`` (``None``: it stays as it is)."""

    now: Utc
    by: Authority
    answer: str
    item: Item | None = None


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """Say something to all who take part."""

    now: Utc
    by: Authority
    text: str


class AttachEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Add a file whose content has been stored under ``evidence``."""

    now: Utc
    by: Authority
    evidence: EvidenceId
    name: str
    media_type: str
    size: int
    sha256: Digest


class Withdraw(msgspec.Struct, frozen=True, kw_only=True):
    """Stop asking."""

    now: Utc
    by: Authority
    reason: str


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """Another decision, as its stream says; ``submitted_by`` is ``None`` when there is no such decision."""

    decision_id: DecisionId
    submitted_by: PersonId | None


class Supersede(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for another decision instead."""

    now: Utc
    by: Authority
    successor: Successor
    reason: str


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Take it off the queue for good."""

    now: Utc
    by: Authority
    reason: str


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """Break the glass: end it past quorum, groups and four eyes.

    ``subject_digest`` is what the administrator was shown (``None``: what is current).
    """

    now: Utc
    by: Authority
    outcome: Outcome
    approved_actions: tuple[Action, ...]
    reason: str
    ticket: str
    subject_digest: Digest | None = None


class Countersign(msgspec.Struct, frozen=True, kw_only=True):
    """Stand by somebody else's override."""

    now: Utc
    by: Authority
    notes: str


class LapseOverride(msgspec.Struct, frozen=True, kw_only=True):
    """Note that nobody countersigned in time; what is not due changes nothing."""

    now: Utc


class Redeem(msgspec.Struct, frozen=True, kw_only=True):
    """Use the approval of what ``digest`` names, once."""

    now: Utc
    by: Authority
    digest: Digest


class ReportOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Tell how what was approved went."""

    now: Utc
    by: Authority
    succeeded: bool
    details: str


DecisionCommand: TypeAlias = (
    SubmitDecision
    | ClaimDecision
    | RenewClaim
    | ReleaseClaim
    | OfferHandover
    | AcceptHandover
    | Assign
    | Reprioritise
    | CastVote
    | Escalate
    | PassMilestone
    | Expire
    | RequestInformation
    | ProvideInformation
    | Comment
    | AttachEvidence
    | Withdraw
    | Supersede
    | Cancel
    | Override
    | Countersign
    | LapseOverride
    | Redeem
    | ReportOutcome
)
