import hashlib
import json

import msgspec
import pytest

from ledger.domain.authority import InsufficientPermissions, Role, SessionNotLive
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import Priority
from ledger.domain.decision.item import subject_digest
from ledger.domain.decision.rules import AlreadyExists
from ledger.domain.ids import DecisionId
from ledger.domain.terms import THREAT_ANALYSIS_POLICY, Action, Policy, ReasonMode
from tests.builders import (
    ANA,
    AUDREY,
    DIGEST,
    ENGINE,
    ITEM,
    SUSPECT,
    VIC,
    authority,
    resolved,
    session_of,
    submit,
    submitted,
)
from tests.domain.given import Given


@pytest.mark.parametrize("role", [Role.SERVICE, Role.ANALYST, Role.ADMIN])
def test_services_analysts_and_administrators_submit(role):
    Given(DECISION).when(submit(by=authority(ENGINE, role=role))).then(submitted(by=ENGINE))


@pytest.mark.parametrize(("person", "role"), [(VIC, "viewer"), (AUDREY, "auditor")])
def test_who_only_looks_does_not_submit(person, role):
    Given(DECISION).when(submit(by=person)).then_refused(InsufficientPermissions, role=role)


def test_a_finished_session_submits_nothing():
    asking = submit(by=authority(ENGINE, session_is_live=False))

    Given(DECISION).when(asking).then_refused(SessionNotLive, session=session_of(ENGINE))


def test_a_deactivated_account_submits_nothing():
    asking = submit(by=authority(ENGINE, is_active=False))

    Given(DECISION).when(asking).then_refused(SessionNotLive, session=session_of(ENGINE))


def test_an_id_is_used_once():
    Given(DECISION, submitted()).when(submit()).then_refused(AlreadyExists, decision_id="analysis-7")


def test_an_id_is_not_free_again_after_the_verdict():
    decided = Given(DECISION, submitted(), resolved())

    decided.when(submit(by=ANA)).then_refused(AlreadyExists, decision_id="analysis-7")


def test_the_digest_is_the_sha256_of_the_canonical_json_of_what_is_shown():
    item = json.loads(msgspec.json.encode(ITEM))
    shown = {"decision_id": "analysis-7", "item": item, "kind_version": 1, "priority": "high"}
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert hashlib.sha256(canonical.encode()).hexdigest() == DIGEST


def test_the_digest_of_yesterday_is_the_digest_of_today():
    assert DIGEST == "e0f386e66e98126cbe41f9c1f5530c969e3d47ce7de66fb401564a5addc670fe"


@pytest.mark.parametrize(
    "digest",
    [
        subject_digest(DecisionId("another"), ITEM, 1, Priority.HIGH),
        subject_digest(SUSPECT, msgspec.structs.replace(ITEM, confidence=89.25), 1, Priority.HIGH),
        subject_digest(SUSPECT, ITEM, 2, Priority.HIGH),
        subject_digest(SUSPECT, ITEM, 1, Priority.LOW),
    ],
)
def test_whatever_a_person_is_shown_changes_the_digest(digest):
    assert digest != DIGEST


def test_the_built_in_policy_is_that_of_the_prototype():
    assert (
        Policy(
            name="threat_analysis",
            version=1,
            allowed_actions=(
                Action.BLOCK_IP,
                Action.QUARANTINE_SYSTEM,
                Action.ACTIVATE_KILLSWITCH,
                Action.DEPLOY_COUNTERMEASURE,
                Action.ESCALATE_TO_SOC,
                Action.NO_ACTION,
                Action.CUSTOM,
            ),
            approvals_needed=1,
            rejections_needed=1,
            four_eyes=False,
            reason=ReasonMode.NEVER,
            step_up_seconds=None,
            escalation_levels=3,
            lease_seconds=300,
        )
        == THREAT_ANALYSIS_POLICY
    )
