"""Histories and commands that between them reach whatever a decision's table of moves has in a cell."""

from itertools import product
from typing import Final

from msgspec.structs import replace

from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.events import Choice, DecisionEvent, Milestone, Outcome, Priority
from ledger.domain.terms import DefaultOutcome, Policy
from tests.builders import (
    ADA,
    ANA,
    BEN,
    ITEM,
    LEA,
    SAM,
    TWO_OF_EACH,
    authority,
    cast_vote,
    claim,
    claimed,
    escalate,
    escalated,
    later,
    policy,
    release,
    released,
    renew,
    resolved,
    submit,
    submitted,
    voted,
)
from tests.builders.workflow_commands import (
    accept_handover,
    assign,
    attach_evidence,
    cancel,
    comment,
    countersign,
    lapse_override,
    offer_handover,
    override,
    pass_milestone,
    provide_information,
    redeem,
    report_outcome,
    reprioritise,
    request_information,
    supersede,
    time_out,
    withdraw,
)
from tests.builders.workflow_events import (
    assigned,
    cancelled,
    countersigned,
    information_requested,
    offered,
    outcome_reported,
    overridden,
    override_lapsed,
    redeemed,
    superseded,
    timed_out,
    withdrawn,
)

CONFLICTING: Final = replace(TWO_OF_EACH, escalates_on_conflict=True)
TWO_VOTERS: Final = replace(TWO_OF_EACH, voters=2)
TIMED: Final = replace(
    policy(), target_seconds=1_000, deadline_seconds=2_000, escalates_at_half=True, escalates_at_breach=True
)
MEASURED: Final = replace(policy(), target_seconds=1_000, deadline_seconds=2_000)
LONG_AFTER: Final = 10**7
"""Seconds after which every clock has run out, also one that a question has stopped."""


def _open(terms: Policy) -> list[list[DecisionEvent]]:
    asked = submitted(policy=terms)
    held = [claimed(by=ANA, seconds=300)]
    return [
        [asked, *before, *work]
        for before, work in product(
            [[], [voted(by=BEN, choice=Choice.REJECT)], [escalated(by=SAM)]],
            [
                [],
                held,
                [*held, offered(by=ANA, to=BEN)],
                [*held, information_requested(by=ANA)],
                [*held, information_requested(by=ANA), released(by=ANA)],
                [assigned(to=ANA), *held, offered(by=ANA, to=BEN)],
                [claimed(by=ANA, at=later(400), seconds=700)],
            ],
        )
    ]


_APPROVED: Final = [submitted(), resolved()]
_OVERRIDDEN: Final = [submitted(), overridden()]
_LET_PASS: Final = [submitted(), timed_out(default=DefaultOutcome.APPROVE)]

DECISIONS: Final[list[list[DecisionEvent]]] = [
    [],
    *(
        history
        for terms in (policy(), TWO_OF_EACH, CONFLICTING, TWO_VOTERS, TIMED, MEASURED)
        for history in _open(terms)
    ),
    *(_APPROVED, [*_APPROVED, redeemed()], [*_APPROVED, outcome_reported()]),
    [submitted(), resolved(outcome=Outcome.REJECTED)],
    *(_OVERRIDDEN, [*_OVERRIDDEN, countersigned(by=LEA)], [*_OVERRIDDEN, override_lapsed()]),
    *([submitted(), withdrawn()], [submitted(), superseded()], [submitted(), cancelled()]),
    *([submitted(), timed_out()], _LET_PASS, [*_LET_PASS, redeemed()], [*_LET_PASS, outcome_reported()]),
]

_AT_WORK: Final = [
    wish(by=by, now=now)
    for wish, by, now in product(
        [claim, renew, release, offer_handover, request_information, cast_vote, escalate, comment],
        [ANA, BEN, LEA],
        [later(1), later(300)],
    )
]
_ADMIN: Final = authority(ADA, stepped_up_at=later(1))

DECISION_COMMANDS: Final[list[DecisionCommand]] = [
    submit(),
    *_AT_WORK,
    *(claim(by=LEA, token=2, reason="busy"), claim(by=LEA, token=2, reason="busy", now=later(300))),
    *(release(by=None), release(by=None, now=later(300))),
    *(offer_handover(to=SAM), accept_handover(by=BEN), accept_handover(by=BEN, now=later(300))),
    *(assign(to=to, now=now) for to, now in product([None, ANA, LEA], [later(1), later(300)])),
    *(reprioritise(), reprioritise(priority=Priority.HIGH)),
    *(
        cast_vote(by=by, choice=choice, now=now)
        for by, choice, now in product([ANA, BEN, LEA], Choice, [later(1), later(300)])
    ),
    *(
        pass_milestone(milestone, now=later(seconds))
        for milestone, seconds in product(Milestone, [1, 100, 500, 1_000, 1_999, 604_800 + 1_500])
    ),
    *(time_out(now=later(seconds)) for seconds in (1, LONG_AFTER)),
    provide_information(),
    provide_information(item=replace(ITEM, forensic_summary="It was the backup.")),
    attach_evidence(),
    *(withdraw(), supersede(), cancel(), override(by=_ADMIN, now=later(1))),
    countersign(by=authority(SAM, role=_ADMIN.role, stepped_up_at=later(1)), now=later(1)),
    countersign(by=authority(SAM, role=_ADMIN.role, stepped_up_at=later(1)), now=later(LONG_AFTER)),
    countersign(by=_ADMIN, now=later(1)),
    *(lapse_override(now=later(1)), lapse_override(now=later(LONG_AFTER))),
    *(redeem(), redeem(now=later(LONG_AFTER)), report_outcome()),
]
