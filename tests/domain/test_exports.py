"""Who may take what out of the ledger, and what is written down of it."""

import pytest

from ledger.domain.authority import InsufficientPermissions, SessionNotLive, StepUpRequired
from ledger.domain.decider import fold
from ledger.domain.export.decide import (
    EXPORT,
    GOOD_FOR,
    AlreadyExported,
    BadExportRange,
    ExportNotFound,
    ExportOver,
    NotInExport,
    require_export,
)
from ledger.domain.export.events import Tier
from ledger.domain.export.state import LedgerLeft
from ledger.domain.ids import Position
from tests.builders import ADA, ANA, AUDREY, ENGINE, VIC, authority, later
from tests.builders.exports import decision_exported, export_decision, export_ledger, ledger_exported
from tests.builders.people import NOW
from tests.domain.given import Given

NOTHING = Given(EXPORT)
LEFT = fold(EXPORT, [ledger_exported()])


@pytest.mark.parametrize("by", [ADA, AUDREY, None])
def test_auditors_administrators_and_the_operator_take_the_ledger(by):
    NOTHING.when(export_ledger(by=by)).then(ledger_exported(by=by))


@pytest.mark.parametrize("by", [ANA, ENGINE, VIC])
def test_nobody_else_takes_anything(by):
    with pytest.raises(InsufficientPermissions):
        EXPORT.decide(export_ledger(by=by), EXPORT.initial)
    with pytest.raises(InsufficientPermissions):
        EXPORT.decide(export_decision(by=by), EXPORT.initial)


def test_who_is_not_there_any_more_takes_nothing():
    with pytest.raises(SessionNotLive):
        EXPORT.decide(export_ledger(by=authority(AUDREY, session_is_live=False)), EXPORT.initial)


@pytest.mark.parametrize("tier", [Tier.ENVELOPE, Tier.PAYLOAD])
def test_envelopes_and_payloads_ask_for_no_second_factor(tier):
    by = authority(AUDREY, has_second_factor=True)
    NOTHING.when(export_ledger(by=by, tier=tier)).then(ledger_exported(tier=tier))


@pytest.mark.parametrize("proven", [None, later(-301)])
def test_names_and_keys_ask_for_a_fresh_second_factor_where_there_is_one(proven):
    by = authority(AUDREY, has_second_factor=True, stepped_up_at=proven)
    with pytest.raises(StepUpRequired):
        EXPORT.decide(export_ledger(by=by, tier=Tier.DISCLOSED), EXPORT.initial)
    with pytest.raises(StepUpRequired):
        EXPORT.decide(export_decision(by=by), EXPORT.initial)


def test_names_and_keys_go_to_whoever_has_proven_a_second_factor_just_now():
    by = authority(AUDREY, has_second_factor=True, stepped_up_at=later(-300))
    NOTHING.when(export_ledger(by=by, tier=Tier.DISCLOSED)).then(ledger_exported(tier=Tier.DISCLOSED))


@pytest.mark.parametrize(
    ("first", "last", "size"), [(0, 1, 1), (2, 1, 3), (1, 4, 3), (4, 4, 3), (1, 0, 0), (1, 1, 0)]
)
def test_only_what_is_sealed_is_taken(first, last, size):
    with pytest.raises(BadExportRange) as refused:
        EXPORT.decide(export_ledger(first=first, last=last, size=size), EXPORT.initial)
    assert refused.value.context == {"first": first, "last": last, "size": size}


def test_all_about_one_decision_is_taken():
    NOTHING.when(export_decision()).then(decision_exported())


@pytest.mark.parametrize("before", [ledger_exported(), decision_exported()])
def test_an_id_is_used_once(before):
    with pytest.raises(AlreadyExported):
        EXPORT.decide(export_ledger(), fold(EXPORT, [before]))


def test_what_was_asked_for_may_be_fetched_for_a_day():
    left = require_export(LEFT, by=AUDREY, now=NOW + GOOD_FOR, tier=Tier.PAYLOAD)
    assert left == LedgerLeft(
        by=AUDREY, tier=Tier.PAYLOAD, first=Position(1), last=Position(10), size=12, at=NOW
    )
    with pytest.raises(ExportOver):
        require_export(LEFT, by=AUDREY, now=NOW + GOOD_FOR + (later(1) - NOW), tier=Tier.PAYLOAD)


def test_what_was_asked_for_is_for_nobody_else():
    with pytest.raises(ExportNotFound):
        require_export(LEFT, by=ADA, now=NOW, tier=Tier.PAYLOAD)


@pytest.mark.parametrize("state", [EXPORT.initial, fold(EXPORT, [decision_exported(by=AUDREY)])])
def test_what_nobody_asked_for_is_not_there(state):
    with pytest.raises(ExportNotFound):
        require_export(state, by=AUDREY, now=NOW, tier=Tier.ENVELOPE)


def test_no_more_is_fetched_than_was_asked_for():
    with pytest.raises(NotInExport) as refused:
        require_export(LEFT, by=AUDREY, now=NOW, tier=Tier.DISCLOSED)
    assert refused.value.context == {"tier": "payload", "first": 1, "last": 10}
