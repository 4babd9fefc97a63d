"""What sorts of items there are, and who says so."""

import pytest

from ledger.domain.authority import AdminRequired, SessionNotLive
from ledger.domain.decision.item import ThreatAnalysis
from ledger.domain.errors import ReasonMissing
from ledger.domain.kind.decide import (
    KIND,
    MAX_SCHEMA_BYTES,
    MAX_VERSIONS,
    BadKindName,
    BadKindTitle,
    BuiltInKind,
    KindExists,
    SchemaTooLarge,
    TooManyVersions,
)
from ledger.domain.kind.state import KindIsRetired, KindNotFound, Registered, Retired
from ledger.domain.terms import BUILT_IN_KIND
from tests.builders import ADA, ANA, authority
from tests.builders.kinds import (
    SCHEMA,
    STRICTER,
    kind_registered,
    kind_retired,
    kind_revised,
    register_kind,
    retire_kind,
    revise_kind,
)
from tests.domain.given import Given, survives_storage

NOBODY_KNOWS_IT = Given(KIND)
KNOWN = Given(KIND, kind_registered())
RETIRED = Given(KIND, kind_registered(), kind_retired())
WISHES = [register_kind, revise_kind, retire_kind]


def test_an_administrator_registers_a_kind():
    NOBODY_KNOWS_IT.when(register_kind()).then(kind_registered())


def test_a_revision_is_the_next_version():
    KNOWN.when(revise_kind()).then(kind_revised(2))
    Given(KIND, kind_registered(), kind_revised(2)).when(revise_kind(schema=SCHEMA)).then(
        kind_revised(3, schema=SCHEMA)
    )


def test_a_revision_can_give_another_title_alone():
    KNOWN.when(revise_kind(schema=SCHEMA, title="Money out")).then(
        kind_revised(2, title="Money out", schema=SCHEMA)
    )


def test_a_revision_that_changes_nothing_is_none():
    KNOWN.when(revise_kind(schema=SCHEMA)).then()


def test_old_versions_stay_readable():
    state = Given(KIND, kind_registered(), kind_revised(2), kind_retired()).state

    assert state == Retired(name="payment", title="A payment", schemas=(SCHEMA, STRICTER))
    assert Given(KIND, kind_registered(), kind_revised(2)).state == Registered(
        name="payment", title="A payment", schemas=(SCHEMA, STRICTER)
    )


def test_a_kind_is_retired_once():
    KNOWN.when(retire_kind()).then(kind_retired())
    RETIRED.when(retire_kind()).then()


def test_what_is_retired_stays_so():
    RETIRED.when(revise_kind()).then_refused(KindIsRetired, kind="payment")
    RETIRED.when(register_kind()).then_refused(KindExists, kind="payment")
    assert (
        Given(KIND, kind_registered(), kind_retired(), kind_revised(2), kind_retired()).state == RETIRED.state
    )


@pytest.mark.parametrize("reason", ["", " \n"])
def test_retiring_needs_a_reason(reason):
    KNOWN.when(retire_kind(reason=reason)).then_refused(ReasonMissing)


def test_a_reason_that_may_be_left_out_is_no_white_space():
    KNOWN.when(revise_kind(reason=" \n")).then_refused(ReasonMissing)


def test_a_name_is_taken_once():
    KNOWN.when(register_kind()).then_refused(KindExists, kind="payment")


def test_what_nobody_knows_is_neither_revised_nor_retired():
    NOBODY_KNOWS_IT.when(revise_kind()).then_refused(KindNotFound)
    NOBODY_KNOWS_IT.when(retire_kind()).then_refused(KindNotFound)
    assert Given(KIND, kind_revised(2), kind_retired()).state == NOBODY_KNOWS_IT.state


@pytest.mark.parametrize("wish", WISHES)
def test_the_built_in_kind_is_nobodys_to_change(wish):
    NOBODY_KNOWS_IT.when(wish(BUILT_IN_KIND)).then_refused(BuiltInKind, kind="threat_analysis")


def test_the_built_in_kind_has_one_name():
    assert ThreatAnalysis.__struct_config__.tag == BUILT_IN_KIND == "threat_analysis"


@pytest.mark.parametrize("wish", WISHES)
def test_only_administrators_change_kinds(wish):
    KNOWN.when(wish(by=ANA)).then_refused(AdminRequired, role="analyst")
    gone = authority(ADA, session_is_live=False)
    KNOWN.when(wish(by=gone)).then_refused(SessionNotLive, session=gone.session)


@pytest.mark.parametrize("name", ["", "Payment", "1st", "_a", "a-b", "a b", "a\n", "ä", "a" * 51])
def test_a_bad_name_is_refused(name):
    NOBODY_KNOWS_IT.when(register_kind(name)).then_refused(BadKindName, kind=name)


@pytest.mark.parametrize("name", ["a", "a" * 50, "wire_transfer_2"])
def test_a_good_name_is_not(name):
    NOBODY_KNOWS_IT.when(register_kind(name)).then(kind_registered(name))


@pytest.mark.parametrize("title", ["", " ", "x" * 201])
def test_a_bad_title_is_refused(title):
    NOBODY_KNOWS_IT.when(register_kind(title=title)).then_refused(BadKindTitle)
    KNOWN.when(revise_kind(title=title)).then_refused(BadKindTitle)


def test_the_longest_title_is_taken():
    NOBODY_KNOWS_IT.when(register_kind(title="x" * 200)).then(kind_registered(title="x" * 200))


def test_a_schema_has_at_most_64_kibibytes():
    largest, larger = "ä" * (MAX_SCHEMA_BYTES // 2), "ä" * (MAX_SCHEMA_BYTES // 2) + "x"

    NOBODY_KNOWS_IT.when(register_kind(schema=largest)).then(kind_registered(schema=largest))
    NOBODY_KNOWS_IT.when(register_kind(schema=larger)).then_refused(SchemaTooLarge, size=65_537, limit=65_536)
    KNOWN.when(revise_kind(schema=larger)).then_refused(SchemaTooLarge, size=65_537, limit=65_536)


def test_a_kind_has_at_most_100_versions():
    revisions = [kind_revised(number, schema=str(number)) for number in range(2, MAX_VERSIONS + 1)]

    Given(KIND, kind_registered(), *revisions[:-1]).when(revise_kind()).then(kind_revised(100))
    Given(KIND, kind_registered(), *revisions).when(revise_kind()).then_refused(
        TooManyVersions, kind="payment"
    )


@pytest.mark.parametrize("given", [NOBODY_KNOWS_IT, KNOWN, RETIRED])
def test_a_state_survives_its_snapshot(given):
    assert survives_storage(given.state)


@pytest.mark.parametrize("event", [kind_registered(), kind_revised(), kind_retired()])
def test_an_event_survives_storage(event):
    assert survives_storage(event)
