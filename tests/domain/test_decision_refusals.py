"""Why a decision may say no: codes and families are public; titles and advice are what people read."""

import inspect
import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

from ledger.domain import decision
from ledger.domain.authority import InsufficientPermissions
from ledger.domain.decision import claiming, ending, informing, item, personal, rules, state, using, voting
from ledger.domain.errors import Invalid, LedgerError, NotFound, Refused, RuleViolation

REFUSALS = {
    claiming.CannotWorkOnIt: ("colleague-cannot-review", RuleViolation),
    claiming.HandoverToYourself: ("handover-to-yourself", RuleViolation),
    claiming.LeadRequired: ("lead-required", InsufficientPermissions),
    claiming.NothingOffered: ("nothing-offered", RuleViolation),
    ending.CountersignTooLate: ("countersign-too-late", RuleViolation),
    ending.NoSuccessor: ("no-successor", RuleViolation),
    ending.NothingToCountersign: ("nothing-to-countersign", RuleViolation),
    ending.OwnOverride: ("own-override", Refused),
    ending.TicketRequired: ("ticket-required", Invalid),
    informing.AnotherKind: ("another-kind", RuleViolation),
    informing.NotAParticipant: ("not-a-participant", Refused),
    informing.NotTheSubmitter: ("not-the-submitter", Refused),
    informing.NothingSaid: ("nothing-said", Invalid),
    informing.NothingWasAsked: ("nothing-was-asked", RuleViolation),
    informing.QuestionOpen: ("question-open", RuleViolation),
    informing.TooManyComments: ("too-many-comments", RuleViolation),
    informing.TooManyQuestions: ("too-many-questions", RuleViolation),
    informing.TooMuchEvidence: ("too-much-evidence", RuleViolation),
    item.ParameterDoesNotFit: ("parameter-does-not-fit", RuleViolation),
    item.UnknownParameter: ("unknown-parameter", RuleViolation),
    personal.SubjectMissing: ("data-subject-missing", Invalid),
    rules.ActionNotAllowed: ("action-not-allowed", RuleViolation),
    rules.AlreadyExists: ("already-exists", RuleViolation),
    rules.AlreadyMade: ("already-made", RuleViolation),
    rules.AlreadyVoted: ("already-voted", RuleViolation),
    rules.AssignedToAnother: ("assigned-to-another", RuleViolation),
    rules.DeadlinePassed: ("deadline-passed", RuleViolation),
    rules.DecisionClosed: ("decision-closed", RuleViolation),
    rules.EscalationExhausted: ("escalation-exhausted", RuleViolation),
    rules.EscalationReasonRequired: ("escalation-reason-required", RuleViolation),
    rules.EscalatorMayNotDecide: ("escalator-may-not-decide", Refused),
    rules.LeaseHeld: ("lease-held", RuleViolation),
    rules.LeaseLost: ("lease-lost", RuleViolation),
    rules.NotInGroup: ("not-in-group", Refused),
    rules.ReasonRequired: ("reason-required", RuleViolation),
    rules.SelfReview: ("self-review", Refused),
    rules.SubjectNotNamed: ("subject-not-named", RuleViolation),
    rules.SubjectChanged: ("subject-changed", RuleViolation),
    state.DecisionNotFound: ("decision-not-found", NotFound),
    using.AlreadyRedeemed: ("already-redeemed", RuleViolation),
    using.ApprovalExpired: ("approval-expired", RuleViolation),
    using.DigestDiffers: ("digest-differs", RuleViolation),
    using.NotApproved: ("not-approved", RuleViolation),
    using.OutcomeAlreadyReported: ("outcome-already-reported", RuleViolation),
    using.OverrideNotCountersigned: ("override-not-countersigned", RuleViolation),
    voting.AllVotesAreIn: ("all-votes-are-in", RuleViolation),
    voting.OnlyApprovalsChange: ("only-approvals-change", RuleViolation),
    voting.ParameterNotEditable: ("parameter-not-editable", RuleViolation),
}
NOTHING_TO_ADVISE = {
    claiming.LeadRequired,
    informing.NotAParticipant,
    rules.AlreadyExists,
    rules.AlreadyMade,
    state.DecisionNotFound,
}
"""Their title says all that there is to do."""


def test_every_refusal_of_the_decision_is_on_this_list():
    modules = [
        import_module(f"{decision.__name__}.{found.name}") for found in iter_modules(decision.__path__)
    ]

    assert set(REFUSALS) == {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, LedgerError) and value.__module__ == module.__name__
    }


@pytest.mark.parametrize(("refusal", "code", "family"), [(one, *facts) for one, facts in REFUSALS.items()])
def test_codes_and_families_are_public(refusal, code, family):
    assert refusal.code == code
    assert issubclass(refusal, family)


def test_a_code_means_one_thing():
    codes = [refusal.code for refusal in REFUSALS]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_title_is_one_sentence(refusal):
    assert re.fullmatch(r"[A-Z].*[^.]\.", refusal.title())


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_says_what_to_do(refusal):
    if refusal in NOTHING_TO_ADVISE:
        assert refusal.advice == ""
    else:
        assert re.fullmatch(r"[A-Z].*[^.]\.", refusal.advice)
