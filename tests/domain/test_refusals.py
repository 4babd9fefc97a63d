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
from ledger.domain.kind import decide as kinds
from ledger.domain.kind.state import KindIsRetired, KindNotFound
from ledger.domain.operations import decide as operations
from ledger.domain.policy import decide as policies
from ledger.domain.policy import rules as policy_rules
from ledger.domain.session.decide import InactiveUser, OwnSessionOnly, SessionAlreadyOpened, SessionNotFound
from ledger.domain.subject import decide as subjects
from ledger.domain.webhook import decide as webhooks
from tests.builders import ANA
from tests.domain.test_decision_refusals import REFUSALS as OF_DECISIONS

REFUSALS = {
    AccountNotFound: ("account-not-found", NotFound),
    AdminRequired: ("admin-required", Refused),
    AlreadyRegistered: ("already-registered", RuleViolation),
    InactiveUser: ("inactive-user", RuleViolation),
    InsufficientPermissions: ("insufficient-permissions", Refused),
    KeyNotFound: ("key-not-found", NotFound),
    KindIsRetired: ("kind-retired", RuleViolation),
    KindNotFound: ("kind-not-found", NotFound),
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
    kinds.BadKindName: ("bad-kind-name", Invalid),
    kinds.BadKindTitle: ("bad-kind-title", Invalid),
    kinds.BuiltInKind: ("built-in-kind", RuleViolation),
    kinds.KindExists: ("kind-exists", RuleViolation),
    kinds.SchemaTooLarge: ("schema-too-large", Invalid),
    kinds.TooManyVersions: ("too-many-versions", RuleViolation),
    policies.NotADraft: ("not-a-draft", RuleViolation),
    policies.NotInForce: ("policy-not-in-force", RuleViolation),
    policies.PolicyNotFound: ("policy-not-found", NotFound),
    policies.PublishedByItsDrafter: ("published-by-its-drafter", Refused),
    policies.TooManyDrafts: ("too-many-drafts", RuleViolation),
    policy_rules.ApprovedByNobody: ("policy-approves-by-default", Invalid),
    policy_rules.BadGroupName: ("bad-group-name", Invalid),
    policy_rules.BadPointer: ("bad-pointer", Invalid),
    policy_rules.DefaultWithoutDeadline: ("policy-default-without-deadline", Invalid),
    policy_rules.GroupsNeedTooMany: ("policy-groups-need-too-many", Invalid),
    policy_rules.LadderIncomplete: ("policy-ladder-incomplete", Invalid),
    policy_rules.LadderTooLong: ("policy-ladder-too-long", Invalid),
    policy_rules.NothingAllowed: ("policy-allows-nothing", Invalid),
    policy_rules.NothingToMeasure: ("policy-nothing-to-measure", Invalid),
    policy_rules.NowhereToEscalate: ("policy-nowhere-to-escalate", Invalid),
    policy_rules.OutOfRange: ("policy-out-of-range", Invalid),
    policy_rules.TargetAfterDeadline: ("policy-target-after-deadline", Invalid),
    policy_rules.TooFewVoters: ("policy-too-few-voters", Invalid),
    policy_rules.TooManyNamed: ("policy-names-too-many", Invalid),
    policy_rules.VotersCanTie: ("policy-can-tie", Invalid),
    operations.AlreadyPaused: ("already-paused", RuleViolation),
    operations.BadRange: ("bad-range", Invalid),
    operations.NoRebuildUnderWay: ("no-rebuild-under-way", RuleViolation),
    operations.NothingToRollBack: ("nothing-to-roll-back", RuleViolation),
    operations.NotPaused: ("not-paused", RuleViolation),
    operations.ReasonMissing: ("reason-missing", Invalid),
    operations.RebuildUnderWay: ("rebuild-under-way", RuleViolation),
    subjects.AccountStillActive: ("account-still-active", RuleViolation),
    subjects.AlreadyErased: ("already-erased", RuleViolation),
    subjects.ApprovedByItsRequester: ("approved-by-its-requester", Refused),
    subjects.ErasureAlreadyRequested: ("erasure-already-requested", RuleViolation),
    subjects.HoldExists: ("hold-exists", RuleViolation),
    subjects.HoldNotFound: ("hold-not-found", NotFound),
    subjects.LegalHold: ("legal-hold", RuleViolation),
    subjects.NoErasureRequested: ("no-erasure-requested", RuleViolation),
    subjects.NotItsRequester: ("not-its-requester", Refused),
    subjects.OwnErasure: ("own-erasure", Refused),
    subjects.RefusedByItsRequester: ("refused-by-its-requester", Refused),
    subjects.SubjectNotFound: ("subject-not-found", NotFound),
    subjects.TooManyHolds: ("too-many-holds", RuleViolation),
    webhooks.NoDeadLetters: ("no-dead-letters", RuleViolation),
    webhooks.WebhookExists: ("webhook-exists", RuleViolation),
    webhooks.WebhookHeld: ("webhook-held", RuleViolation),
    webhooks.WebhookNotFound: ("webhook-not-found", NotFound),
    webhooks.WebhookNotHeld: ("webhook-not-held", RuleViolation),
    StepUpRequired: ("step-up-required", Unauthenticated),
}


@pytest.mark.parametrize(("refusal", "code", "family"), [(one, *facts) for one, facts in REFUSALS.items()])
def test_codes_and_families_are_public(refusal, code, family):
    assert refusal.code == code
    assert issubclass(refusal, family)


def test_a_code_means_one_thing():
    codes = Counter(refusal.code for refusal in [*REFUSALS, *OF_DECISIONS])

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
