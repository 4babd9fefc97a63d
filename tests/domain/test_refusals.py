"""What people are told when something is refused."""

import re
from collections import Counter

import pytest

from ledger.domain.account.decide import (
    AccountNotFound,
    AlreadyRegistered,
    KeyNotFound,
    LastAdmin,
    NotAServiceAccount,
    OwnAccountOnly,
    SecondFactorNeeded,
    SecondFactorNotEnabled,
)
from ledger.domain.authority import (
    AdminRequired,
    InsufficientPermissions,
    SessionIsPaused,
    SessionNotLive,
    StepUpRequired,
)
from ledger.domain.decision import rules
from ledger.domain.decision.state import DecisionNotFound
from ledger.domain.errors import Invalid, LedgerError, NotFound, Refused, RuleViolation, Unauthenticated
from ledger.domain.operations import decide as operations
from ledger.domain.session.decide import InactiveUser, OwnSessionOnly, SessionAlreadyOpened, SessionNotFound
from tests.builders import ANA

REFUSALS = {
    AccountNotFound: ("account-not-found", NotFound),
    AdminRequired: ("admin-required", Refused),
    AlreadyRegistered: ("already-registered", RuleViolation),
    DecisionNotFound: ("decision-not-found", NotFound),
    InactiveUser: ("inactive-user", RuleViolation),
    InsufficientPermissions: ("insufficient-permissions", Refused),
    KeyNotFound: ("key-not-found", NotFound),
    LastAdmin: ("last-admin", RuleViolation),
    NotAServiceAccount: ("not-a-service-account", RuleViolation),
    OwnAccountOnly: ("own-account-only", Refused),
    OwnSessionOnly: ("own-session-only", Refused),
    SecondFactorNeeded: ("second-factor-needed", RuleViolation),
    SecondFactorNotEnabled: ("second-factor-not-enabled", RuleViolation),
    SessionAlreadyOpened: ("session-already-opened", RuleViolation),
    SessionIsPaused: ("session-paused", RuleViolation),
    SessionNotFound: ("session-not-found", NotFound),
    SessionNotLive: ("session-not-live", Unauthenticated),
    operations.AlreadyPaused: ("already-paused", RuleViolation),
    operations.BadRange: ("bad-range", Invalid),
    operations.NoRebuildUnderWay: ("no-rebuild-under-way", RuleViolation),
    operations.NothingToRollBack: ("nothing-to-roll-back", RuleViolation),
    operations.NotPaused: ("not-paused", RuleViolation),
    operations.ReasonMissing: ("reason-missing", Invalid),
    operations.RebuildUnderWay: ("rebuild-under-way", RuleViolation),
    rules.ActionNotAllowed: ("action-not-allowed", RuleViolation),
    rules.AlreadyExists: ("already-exists", RuleViolation),
    rules.AlreadyMade: ("already-made", RuleViolation),
    rules.AlreadyVoted: ("already-voted", RuleViolation),
    rules.EscalationExhausted: ("escalation-exhausted", RuleViolation),
    rules.EscalationReasonRequired: ("escalation-reason-required", RuleViolation),
    rules.EscalatorMayNotDecide: ("escalator-may-not-decide", Refused),
    rules.LeaseHeld: ("lease-held", RuleViolation),
    rules.LeaseLost: ("lease-lost", RuleViolation),
    rules.ReasonRequired: ("reason-required", RuleViolation),
    rules.SelfReview: ("self-review", Refused),
    rules.SubjectChanged: ("subject-changed", RuleViolation),
    StepUpRequired: ("step-up-required", Unauthenticated),
}


@pytest.mark.parametrize(("refusal", "code", "family"), [(one, *facts) for one, facts in REFUSALS.items()])
def test_codes_and_families_are_public(refusal, code, family):
    assert refusal.code == code
    assert issubclass(refusal, family)


def test_a_code_means_one_thing():
    codes = Counter(refusal.code for refusal in REFUSALS)

    assert codes.most_common(1)[0][1] == 1
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize(
    ("refusal", "phrase"),
    [
        (rules.AlreadyExists, "already exists"),
        (rules.AlreadyMade, "Decision already made"),
        (rules.EscalationReasonRequired, "Escalation reason required"),
        (DecisionNotFound, "not found"),
        (SessionNotFound, "not found"),
        (AccountNotFound, "not found"),
        (AlreadyRegistered, "already registered"),
        (InactiveUser, "Inactive user"),
        (AdminRequired, "Admin access required"),
        (InsufficientPermissions, "Insufficient permissions"),
    ],
)
def test_phrases_that_clients_look_for_are_in_the_title(refusal, phrase):
    assert phrase in refusal.title()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_title_is_one_sentence(refusal):
    assert re.fullmatch(r"[A-Z].*[^.]\.", refusal.title())


def test_a_refusal_says_what_why_and_about_whom():
    assert str(rules.LeaseHeld(holder=ANA)) == (
        "Somebody else is reviewing it. Take another one, or wait until the lease ends. "
        "(holder=00000000-0000-0000-0000-000000000003)"
    )
    assert str(rules.AlreadyMade()) == "Decision already made."


def test_an_undocumented_refusal_is_called_by_its_code():
    class Nameless(LedgerError):
        code = "nameless"

    assert Nameless.title() == "nameless"
