"""What a command does to a decision: the events it causes, or the reason why not.

Each kind of wish has a file of its own beside this one; here each is led to where it is decided.
"""

from typing import Final, TypeAlias, assert_never, get_args

from ledger.domain.decider import Decider
from ledger.domain.decision import claiming, ending, informing, timing, using, voting
from ledger.domain.decision.commands import (
    AcceptHandover,
    Assign,
    AttachEvidence,
    Cancel,
    CastVote,
    ClaimDecision,
    Comment,
    Countersign,
    DecisionCommand,
    Escalate,
    Expire,
    LapseOverride,
    OfferHandover,
    Override,
    PassMilestone,
    ProvideInformation,
    Redeem,
    ReleaseClaim,
    RenewClaim,
    ReportOutcome,
    Reprioritise,
    RequestInformation,
    SubmitDecision,
    Supersede,
    Withdraw,
)
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.evolving import evolve
from ledger.domain.decision.state import DecisionState, NotSubmitted
from ledger.domain.decision.submitting import submit

_Work: TypeAlias = (
    ClaimDecision
    | RenewClaim
    | ReleaseClaim
    | OfferHandover
    | AcceptHandover
    | Assign
    | Reprioritise
    | CastVote
    | Escalate
)
_Talk: TypeAlias = RequestInformation | ProvideInformation | Comment | AttachEvidence
_End: TypeAlias = Withdraw | Supersede | Cancel | Override | Countersign
_Afterwards: TypeAlias = Redeem | ReportOutcome


def decide(command: DecisionCommand, state: DecisionState) -> tuple[DecisionEvent, ...]:
    """Say what ``command`` causes; no events: there is nothing to do.

    Raises:
        RuleViolation: the state forbids it.
        Refused: this person may not.
        NotFound: there is no such decision.
        Unauthenticated: the session has ended, or a fresh second factor is needed.
    """
    match command:
        case SubmitDecision():
            return submit(command, state)
        case PassMilestone():
            return timing.pass_milestone(command, state)
        case Expire():
            return timing.expire(command, state)
        case LapseOverride():
            return timing.lapse_override(command, state)
        case RequestInformation() | ProvideInformation() | Comment() | AttachEvidence():
            return _talk(command, state)
        case _:
            return _change(command, state)


def _change(command: _Work | _End | _Afterwards, state: DecisionState) -> tuple[DecisionEvent, ...]:
    match command:
        case Redeem():
            return using.redeem(command, state)
        case ReportOutcome():
            return using.report_outcome(command, state)
        case Withdraw() | Supersede() | Cancel() | Override() | Countersign():
            return _end(command, state)
        case _:
            return _work(command, state)


def _work(command: _Work, state: DecisionState) -> tuple[DecisionEvent, ...]:  # noqa: PLR0911 - one for each
    match command:
        case ClaimDecision():
            return claiming.claim(command, state)
        case RenewClaim():
            return claiming.renew(command, state)
        case ReleaseClaim():
            return claiming.release(command, state)
        case OfferHandover():
            return claiming.offer_handover(command, state)
        case AcceptHandover():
            return claiming.accept_handover(command, state)
        case Assign():
            return claiming.assign(command, state)
        case Reprioritise():
            return claiming.reprioritise(command, state)
        case CastVote():
            return voting.vote(command, state)
        case Escalate():
            return voting.escalate(command, state)
        case _:
            assert_never(command)


def _talk(command: _Talk, state: DecisionState) -> tuple[DecisionEvent, ...]:
    match command:
        case RequestInformation():
            return informing.request_information(command, state)
        case ProvideInformation():
            return informing.provide_information(command, state)
        case Comment():
            return informing.comment(command, state)
        case AttachEvidence():
            return informing.attach_evidence(command, state)
        case _:
            assert_never(command)


def _end(command: _End, state: DecisionState) -> tuple[DecisionEvent, ...]:
    match command:
        case Withdraw():
            return ending.withdraw(command, state)
        case Supersede():
            return ending.supersede(command, state)
        case Cancel():
            return ending.cancel(command, state)
        case Override():
            return ending.override(command, state)
        case Countersign():
            return ending.countersign(command, state)
        case _:
            assert_never(command)


DECISION: Final = Decider[DecisionCommand, DecisionState, DecisionEvent](
    category="decision",
    event_types=get_args(DecisionEvent),
    state_type=DecisionState,
    initial=NotSubmitted(),
    decide=decide,
    evolve=evolve,
    version=5,
)
"""The Decision aggregate, as a value."""
