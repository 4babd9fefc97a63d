"""What is written once and read for good: tags, schema versions, bytes."""

from collections import Counter
from typing import get_args

import pytest

from ledger.domain.access.decide import ACCESS
from ledger.domain.access.events import AccessEvent
from ledger.domain.account.commands import AccountCommand
from ledger.domain.account.decide import ACCOUNT
from ledger.domain.account.events import AccountEvent
from ledger.domain.account.state import AccountState
from ledger.domain.authority import Authority
from ledger.domain.decision.commands import DecisionCommand
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.decision.state import Answer, Case, DecisionState, Lease, Vote
from ledger.domain.event import type_name
from ledger.domain.export.commands import ExportCommand
from ledger.domain.export.decide import EXPORT
from ledger.domain.export.events import ExportEvent
from ledger.domain.export.state import ExportState
from ledger.domain.kind.commands import KindCommand
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.events import KindEvent
from ledger.domain.kind.state import KindState
from ledger.domain.login.commands import LoginCommand
from ledger.domain.login.decide import LOGIN
from ledger.domain.login.events import LoginEvent
from ledger.domain.login.state import LoginState
from ledger.domain.notary.decide import NOTARY
from ledger.domain.notary.events import NotaryEvent
from ledger.domain.notary.state import NotaryState
from ledger.domain.operations.commands import OperationsCommand
from ledger.domain.operations.decide import OPERATIONS
from ledger.domain.operations.events import OperationsEvent, TableDiff
from ledger.domain.operations.state import NoRebuild, OperationsState, Switched, UnderWay
from ledger.domain.policy.commands import PolicyCommand
from ledger.domain.policy.decide import POLICY
from ledger.domain.policy.events import PolicyEvent
from ledger.domain.policy.state import Draft, PolicyState
from ledger.domain.reading.commands import ReadingCommand
from ledger.domain.reading.decide import READING
from ledger.domain.reading.events import ReadingEvent
from ledger.domain.reading.state import ReadingState
from ledger.domain.session.commands import SessionCommand
from ledger.domain.session.decide import SESSION
from ledger.domain.session.events import SessionEvent
from ledger.domain.session.state import SessionState
from ledger.domain.subject.commands import Subject, SubjectCommand
from ledger.domain.subject.decide import SUBJECT
from ledger.domain.subject.events import Removed, SubjectEvent
from ledger.domain.subject.state import Hold, SubjectState
from ledger.domain.terms import GroupQuorum, Policy
from ledger.domain.webhook.commands import WebhookCommand
from ledger.domain.webhook.decide import WEBHOOK
from ledger.domain.webhook.events import Terms, WebhookEvent
from ledger.domain.webhook.state import WebhookState

AGGREGATES = [
    (DECISION, DecisionEvent),
    (SESSION, SessionEvent),
    (ACCOUNT, AccountEvent),
    (ACCESS, AccessEvent),
    (LOGIN, LoginEvent),
    (OPERATIONS, OperationsEvent),
    (KIND, KindEvent),
    (POLICY, PolicyEvent),
    (SUBJECT, SubjectEvent),
    (WEBHOOK, WebhookEvent),
    (EXPORT, ExportEvent),
    (READING, ReadingEvent),
    (NOTARY, NotaryEvent),
]
EVENTS = [event for decider, _ in AGGREGATES for event in decider.event_types]
VERSIONS = {
    "decision-submitted": 3,
    "decision-claimed": 1,
    "claim-renewed": 1,
    "claim-released": 2,
    "vote-cast": 3,
    "decision-resolved": 2,
    "decision-escalated": 3,
    **dict.fromkeys(
        (
            *("handover-offered", "decision-assigned", "decision-reprioritised", "milestone-passed"),
            *("votes-invalidated", "information-requested", "information-provided", "comment-added"),
            *("evidence-attached", "decision-withdrawn", "decision-superseded", "decision-cancelled"),
            *("decision-expired", "decision-overridden", "override-countersigned", "override-lapsed"),
            *("response-redeemed", "outcome-reported"),
        ),
        1,
    ),
    "session-opened": 1,
    "session-ended": 1,
    "session-expired": 1,
    "session-revoked": 1,
    "session-step-up-completed": 1,
    "session-step-up-failed": 1,
    "session-paused": 1,
    "session-resumed": 1,
    "account-registered": 2,
    "role-changed": 1,
    "account-deactivated": 2,
    "account-reactivated": 1,
    "groups-changed": 1,
    "lead-granted": 1,
    "lead-revoked": 1,
    "password-changed": 1,
    "second-factor-enabled": 1,
    "login-failed": 1,
    "login-locked-out": 1,
    "projection-paused": 1,
    "projection-resumed": 1,
    "range-replayed": 1,
    "failure-retried": 1,
    "failure-skipped": 1,
    "failure-fixed": 1,
    "projection-reset": 1,
    "rebuild-started": 1,
    "rebuild-switched": 1,
    "rebuild-cancelled": 1,
    "rebuild-failed": 1,
    "rollback-started": 1,
    "second-factor-disabled": 1,
    "backup-codes-renewed": 1,
    "api-key-issued": 1,
    "api-key-revoked": 1,
    "second-factor-demanded": 1,
    "second-factor-waived": 1,
    "kind-registered": 1,
    "kind-revised": 1,
    "kind-retired": 1,
    "policy-drafted": 1,
    "policy-published": 1,
    "policy-withdrawn": 1,
    "policy-retired": 1,
    "erasure-requested": 1,
    "erasure-withdrawn": 1,
    "erasure-refused": 1,
    "subject-erased": 1,
    "legal-hold-placed": 1,
    "legal-hold-lifted": 1,
    "webhook-registered": 1,
    "webhook-changed": 1,
    "webhook-paused": 1,
    "webhook-disabled": 1,
    "webhook-resumed": 1,
    "webhook-secret-rotated": 1,
    "webhook-pinged": 1,
    "dead-letters-replayed": 1,
    "webhook-removed": 1,
    "ledger-exported": 1,
    "decision-exported": 1,
    "history-read": 1,
    "notary-key-rotated": 1,
    "notary-adopted": 1,
}


@pytest.mark.parametrize(("decider", "union"), AGGREGATES)
def test_an_aggregate_knows_all_its_events(decider, union):
    assert set(decider.event_types) == set(get_args(union) or (union,))


@pytest.mark.parametrize(
    ("decider", "union"),
    [
        (DECISION, DecisionState),
        (SESSION, SessionState),
        (ACCOUNT, AccountState),
        (LOGIN, LoginState),
        (OPERATIONS, OperationsState),
        (KIND, KindState),
        (POLICY, PolicyState),
        (SUBJECT, SubjectState),
        (WEBHOOK, WebhookState),
        (EXPORT, ExportState),
        (READING, ReadingState),
        (NOTARY, NotaryState),
    ],
)
def test_an_aggregate_knows_all_its_states(decider, union):
    assert decider.state_type == union
    assert type(decider.initial) in get_args(union)


def test_categories_are_storage_format():
    assert [decider.category for decider, _ in AGGREGATES] == [
        *("decision", "session", "account", "access", "login", "operations", "kind", "policy", "subject"),
        *("webhook", "export", "reading", "notary"),
    ]


def test_no_two_events_share_a_tag():
    assert Counter(type_name(event) for event in EVENTS) == Counter(VERSIONS.keys())


def test_every_event_has_its_version():
    assert {type_name(event): event.schema_version for event in EVENTS} == VERSIONS


@pytest.mark.parametrize(
    "union",
    [
        DecisionState,
        SessionState,
        AccountState,
        LoginState,
        OperationsState,
        KindState,
        PolicyState,
        SubjectState,
        WebhookState,
        ExportState,
        ReadingState,
    ],
)
def test_no_two_states_of_an_aggregate_share_a_tag(union):
    tags = [state.__struct_config__.tag for state in get_args(union)]

    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    "union",
    [
        *(DecisionEvent, DecisionCommand, DecisionState),
        *(SessionEvent, SessionCommand, SessionState),
        *(AccountEvent, AccountCommand, AccountState),
        *(LoginEvent, LoginCommand, LoginState),
        *(OperationsEvent, OperationsCommand, OperationsState),
        *(KindEvent, KindCommand, KindState),
        *(PolicyEvent, PolicyCommand, PolicyState),
        *(SubjectEvent, SubjectCommand, SubjectState),
        *(WebhookEvent, WebhookCommand, WebhookState),
        *(ExportEvent, ExportCommand, ExportState),
        *(ReadingEvent, ReadingCommand, ReadingState),
    ],
)
def test_what_crosses_a_room_cannot_be_changed(union):
    assert all(struct.__struct_config__.frozen for struct in get_args(union) or (union,))


@pytest.mark.parametrize(
    "struct",
    [
        *(Answer, Case, Lease, Vote, Policy, ThreatAnalysis, Authority),
        *(TableDiff, NoRebuild, UnderWay, Switched),
        *(Draft, GroupQuorum, Terms),
        *(Subject, Hold, Removed),
    ],
)
def test_what_events_commands_and_states_hold_cannot_be_changed(struct):
    assert struct.__struct_config__.frozen
