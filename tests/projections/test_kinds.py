"""The list of kinds and policies shows what their streams say, however the log is cut into batches."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.domain.decider import fold
from ledger.domain.errors import LedgerError
from ledger.domain.event import Event
from ledger.domain.ids import StreamName
from ledger.domain.kind.decide import KIND
from ledger.domain.kind.state import Registered, Retired
from ledger.domain.policy.decide import POLICY
from ledger.domain.terms import BUILT_IN_KIND
from ledger.projections import kind_rows, policy_rows
from ledger.projections.kind_rows import KindRow
from ledger.projections.policy_rows import Publication
from ledger.projections.projection import RowMissing
from ledger.projections.verifying import verify
from ledger.projections.views.kinds import KINDS
from ledger.store.ledger import LEDGER_ID, Ledger
from tests.builders import ADA, NOW
from tests.builders.kinds import (
    PAYMENT,
    SCHEMA,
    STRICTER,
    kind_registered,
    kind_retired,
    kind_revised,
    register_kind,
    retire_kind,
    revise_kind,
)
from tests.builders.policies import (
    AS_BOSS,
    BOSS,
    draft,
    drafted,
    publish,
    published,
    retire,
    retired,
    withdraw,
)
from tests.projections.given import as_stored, bring_level, views_undone
from tests.projections.histories import cuts_of
from tests.support.recorded import happened

ITS_KIND = StreamName("kind-1")
ITS_POLICY = StreamName("policy-1")


async def kinds(ledger: Ledger, *events: Event) -> list[KindRow]:
    await happened(ledger, ledger.kind_stream(PAYMENT), *events)
    await bring_level(ledger, KINDS)
    async with ledger.pool.acquire() as conn:
        return list(await kind_rows.page(conn, ledger.ledger_id, after="", limit=10))


async def test_a_kind_is_listed_with_its_latest_version(ledger: Ledger) -> None:
    (row,) = await kinds(ledger, kind_registered(), kind_revised(2, title="Money out"))

    assert (row.kind, row.title, row.kind_version, row.is_retired) == (PAYMENT, "Money out", 2, False)
    assert (row.registered_at, row.changed_at, row.version) == (NOW, NOW, 2)
    (row,) = await kinds(ledger, kind_retired())
    assert (row.is_retired, row.kind_version, row.version) == (True, 2, 3)


async def test_every_kind_is_listed_with_its_policy_or_none(ledger: Ledger) -> None:
    await happened(ledger, ledger.kind_stream(PAYMENT), kind_registered())
    await happened(ledger, ledger.kind_stream("other"), kind_registered("other"))
    await happened(ledger, ledger.policy_stream(PAYMENT), drafted(2), published(2), drafted(3))
    await bring_level(ledger, KINDS)
    async with ledger.pool.acquire() as conn:
        found = dict(await policy_rows.page(conn, ledger.ledger_id, after="", limit=10))
        rest = await policy_rows.page(conn, ledger.ledger_id, after="other", limit=1)

    assert list(found) == ["other", PAYMENT, BUILT_IN_KIND]
    assert (found["other"], found[BUILT_IN_KIND]) == (None, None)
    row = found[PAYMENT]
    assert row is not None
    assert row.publication == Publication(policy_version=2, by=BOSS, at=NOW)
    assert row.state == fold(POLICY, [drafted(2), published(2), drafted(3)])
    assert [kind for kind, _ in rest] == [PAYMENT]


async def test_what_is_retired_has_no_publication(ledger: Ledger) -> None:
    await happened(ledger, ledger.policy_stream(PAYMENT), drafted(2), published(2), retired(2))
    await happened(ledger, ledger.kind_stream(PAYMENT), kind_registered())
    await bring_level(ledger, KINDS)
    async with ledger.pool.acquire() as conn:
        found = dict(await policy_rows.page(conn, ledger.ledger_id, after="", limit=10))

    row = found[PAYMENT]
    assert row is not None
    assert row.publication is None


@pytest.mark.parametrize("event", [kind_revised(), kind_retired(), published(), retired()])
async def test_what_has_no_beginning_is_not_made_up(ledger: Ledger, event: Event) -> None:
    async with views_undone(ledger) as conn:
        with pytest.raises(RowMissing):
            await KINDS.feed(conn, LEDGER_ID, as_stored([(ITS_KIND, event)]))


async def test_it_is_verified_like_any_read_model(ledger: Ledger) -> None:
    await happened(ledger, ledger.kind_stream(PAYMENT), kind_registered(), kind_revised())
    await happened(ledger, ledger.policy_stream(PAYMENT), drafted(2), published(2))
    await bring_level(ledger, KINDS)

    proven = await verify(ledger.url, ledger.ledger_id, KINDS)

    assert (proven.completeness.problems, proven.comparison.is_equal()) == ((), True)


wishes = st.one_of(
    st.sampled_from([register_kind(), revise_kind(), revise_kind(schema=SCHEMA), retire_kind()]),
    st.builds(
        lambda by, seconds: draft(by, deadline_seconds=seconds),
        st.sampled_from([ADA, AS_BOSS]),
        st.integers(1, 9),
    ),
    st.builds(lambda by, number: publish(number, by=by), st.sampled_from([ADA, AS_BOSS]), st.integers(2, 6)),
    st.builds(withdraw, st.integers(2, 6)),
    st.builds(retire, st.integers(2, 6)),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tried=st.lists(wishes, max_size=30), data=st.data())
async def test_rows_are_what_the_streams_say(
    ledger: Ledger, tried: list[object], data: st.DataObject
) -> None:
    log: list[tuple[StreamName, Event]] = []
    so_far: dict[StreamName, list[Event]] = {ITS_KIND: [], ITS_POLICY: []}
    for wish in tried:
        decider, stream = (KIND, ITS_KIND) if hasattr(wish, "name") else (POLICY, ITS_POLICY)
        try:
            events = decider.decide(wish, fold(decider, so_far[stream]))
        except LedgerError:
            continue
        so_far[stream] += events
        log += [(stream, event) for event in events]
    stored = as_stored(log)
    async with views_undone(ledger) as conn:
        for cut in cuts_of(data, len(stored)):
            await KINDS.feed(conn, LEDGER_ID, stored[cut])
        rows = await kind_rows.page(conn, LEDGER_ID, after="", limit=10)
        policies = await conn.fetch("select state, in_force from views.policies_v1")

    kind = fold(KIND, so_far[ITS_KIND])
    if isinstance(kind, Registered | Retired):
        assert [(row.kind_version, row.is_retired) for row in rows] == [
            (len(kind.schemas), isinstance(kind, Retired))
        ]
        assert kind.schemas[0] in (SCHEMA, STRICTER)
    else:
        assert rows == ()
    if so_far[ITS_POLICY]:
        ((state, in_force),) = policies
        expected = fold(POLICY, so_far[ITS_POLICY])
        assert state == msgspec.json.encode(expected).decode()
        assert in_force == getattr(getattr(expected, "terms", None), "version", None)
    else:
        assert policies == []
