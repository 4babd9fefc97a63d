"""The terms a decision is taken under: what a policy says, as the decision's own submission keeps it.

STORAGE FORMAT: submissions and published policies hold these values. Add a field only with a default that is
true of every older policy (ADR 0004).
"""

from enum import StrEnum
from typing import Final

import msgspec


class Action(StrEnum):
    """What an approval lets the submitter do."""

    BLOCK_IP = "block_ip"
    QUARANTINE_SYSTEM = "quarantine_system"
    ACTIVATE_KILLSWITCH = "activate_killswitch"
    DEPLOY_COUNTERMEASURE = "deploy_countermeasure"
    ESCALATE_TO_SOC = "escalate_to_soc"
    NO_ACTION = "no_action"
    CUSTOM = "custom"


class ReasonMode(StrEnum):
    """When a vote must carry notes."""

    NEVER = "never"
    ON_REJECT = "on_reject"
    ALWAYS = "always"


class Risk(StrEnum):
    """What a wrong approval could cost; only what is low may be approved by nobody."""

    LOW = "low"
    HIGH = "high"


class DefaultOutcome(StrEnum):
    """What the submitter may take from a decision that nobody made in time."""

    DENY = "deny"
    APPROVE = "approve"


class PersonalText(StrEnum):
    """A text that people write about a decision, by what it is; a policy may mark it as personal."""

    NOTES = "notes"
    """Of a verdict, an escalation or a countersignature."""
    REASON = "reason"
    """Why somebody escalated, took over, assigned, reprioritised, withdrew, superseded, cancelled or overrode it."""
    TICKET = "ticket"
    """Under which an override is done."""
    COMMENT = "comment"
    QUESTION = "question"
    """To the submitter."""
    ANSWER = "answer"
    EVIDENCE_NAME = "evidence_name"
    """How a file is called."""
    DETAILS = "details"
    """Of a reported outcome."""


class GroupQuorum(msgspec.Struct, frozen=True, kw_only=True):
    """So many of the approvals come from members of ``group``; each person counts for one group only."""

    group: str
    approvals: int


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules one decision is taken under: a snapshot, never looked up again.

    ``approvals_needed`` of at most ``voters`` (``None``: any number) persons approve, ``groups`` among them;
    ``rejections_needed`` end it the other way. ``escalation_levels`` is how often it may be moved up; members of
    ``reviewers`` (empty: every reviewer) work on it at first, and of ``ladder[n - 1]`` (empty or missing: every
    reviewer) at level ``n``. ``lease_seconds`` is how long a claim lasts; ``step_up_seconds`` how fresh a voter's
    second factor must be (``None``: not asked for). ``editable_parameters`` are JSON pointers (RFC 6901) into the
    payload: what an approver may change, with all below.

    A verdict is wanted within ``target_seconds`` of the submission and must come within ``deadline_seconds``
    (``None``: at any time); at the deadline it expires with ``default_outcome``. A question to the submitter stops
    both clocks where ``information_pauses_clock``, for ``information_seconds`` at most. An approval is good for ``redeem_seconds`` (``None``: for
    good); an override must be countersigned within ``countersign_seconds``.

    ``personal`` names what is sealed under a key of whom it is about: places in the payload (JSON pointers) and kinds
    of ``PersonalText``. ``subject`` points to where the payload says who that is (``None``: the decision is a
    subject of its own).
    """

    name: str
    version: int
    allowed_actions: tuple[Action, ...]
    approvals_needed: int
    rejections_needed: int
    four_eyes: bool
    reason: ReasonMode
    step_up_seconds: int | None
    escalation_levels: int
    lease_seconds: int
    voters: int | None = None
    groups: tuple[GroupQuorum, ...] = ()
    reviewers: tuple[str, ...] = ()
    ladder: tuple[str, ...] = ()
    editable_parameters: tuple[str, ...] = ()
    target_seconds: int | None = None
    escalates_at_half: bool = False
    escalates_at_breach: bool = False
    escalates_on_conflict: bool = False
    deadline_seconds: int | None = None
    default_outcome: DefaultOutcome = DefaultOutcome.DENY
    risk: Risk = Risk.HIGH
    information_pauses_clock: bool = True
    information_seconds: int = 604_800
    redeem_seconds: int | None = None
    countersign_seconds: int = 86_400
    personal: tuple[str, ...] = ()
    subject: str | None = None


BUILT_IN_KIND: Final = "threat_analysis"
"""The kind that every ledger knows."""

BUILT_IN_VERSION: Final = 1
"""The version of its item; there is no other."""

BUILT_IN_TEXTS: Final = frozenset(
    {"/threat_level", "/source_ip", "/forensic_summary", "/incident_id", "/attributed_actor"}
)
"""What of its item is a text, as JSON pointers."""

BUILT_IN_LISTS: Final = frozenset({"/iocs", "/ttps", "/recommended_actions"})
"""What of its item is a list of texts."""

DEFAULT_VERSION: Final = 1
"""Version 1 of every kind's policy is its default, which nobody published; drafts count from 2."""

THREAT_ANALYSIS_POLICY: Final = Policy(
    name=BUILT_IN_KIND,
    version=DEFAULT_VERSION,
    allowed_actions=tuple(Action),
    approvals_needed=1,
    rejections_needed=1,
    four_eyes=False,
    reason=ReasonMode.NEVER,
    step_up_seconds=None,
    escalation_levels=3,
    lease_seconds=300,
)
"""The rules of the built-in kind until others are published: one approver and no deadline."""


def default_policy(kind: str) -> Policy:
    """Say what holds for a kind while no policy of it is published: for a registered one, what errs on the safe side.

    One approver who did not submit it, a reason for every rejection, no action of the built-in kind, no deadline.
    """
    if kind == BUILT_IN_KIND:
        return THREAT_ANALYSIS_POLICY
    return Policy(
        name=kind,
        version=DEFAULT_VERSION,
        allowed_actions=(Action.NO_ACTION, Action.CUSTOM),
        approvals_needed=1,
        rejections_needed=1,
        four_eyes=True,
        reason=ReasonMode.ON_REJECT,
        step_up_seconds=None,
        escalation_levels=3,
        lease_seconds=300,
    )
