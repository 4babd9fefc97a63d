"""An older release beside a newer one: what it cannot read it waits for, or says so; it never guesses.

The newer release is this one with other events: it writes ``decision-claimed`` as version 2 and knows a type that
nobody here has heard of.
"""

from typing import ClassVar
from uuid import uuid4

import pytest
from msgspec.structs import replace

from ledger.command_handling.facts import state_of
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionClaimed
from ledger.domain.decision.state import InReview
from ledger.domain.event import Event
from ledger.domain.ids import EventId, PersonId
from ledger.projections.catalog import ALL
from ledger.projections.health import State
from ledger.projections.views.decisions import find
from ledger.store.appends import Append, NewEvent
from ledger.store.codec import encode
from ledger.store.ledger import account_stream
from ledger.store.streams import Stream, append, draft, read_stream
from ledger.upcasters import chain
from ledger.upcasters.step import Step
from tests.builders import SAM, SUSPECT, claimed, registered, submitted
from tests.projections.given import service, until
from tests.support.events import by_somebody
from tests.support.http import Api, cheap_passwords, serving, submission, verdict

WANT_CLAIMS = {feed.name for feed in ALL if "decision-claimed" in feed.wanted()}
WANT_NONE = {feed.name for feed in ALL} - WANT_CLAIMS


class NewerClaimed(DecisionClaimed, frozen=True, kw_only=True, tag="decision-claimed"):
    """It says from where it was claimed."""

    schema_version: ClassVar[int] = 2

    place: str


class Teleported(Event, frozen=True, kw_only=True, tag="decision-teleported"):
    """Only a newer release knows what that is."""


def decision_claimed_v1_to_v2(payload):
    return {**payload, "place": "was not kept"}


def newer(value):
    """An aggregate or a read model as the newer release has it."""
    events = tuple(NewerClaimed if event is DecisionClaimed else event for event in value.event_types)
    return replace(value, event_types=events)


STEP = Step(type="decision-claimed", version=1, lift=decision_claimed_v1_to_v2)


@pytest.fixture
def upgrade(monkeypatch):
    """Have this process read as the newer release does, from the call on."""

    def happens():
        steps = chain.linked([*chain.ALL, STEP])
        monkeypatch.setattr(chain.way, "__defaults__", (steps,))

    return happens


async def written_by_a_newer_release(ledger, name, *events):
    """Append as the newer release does; the position of the last."""
    stream = await read_stream(ledger, name)
    await append(
        ledger,
        Append(
            stream=name,
            expected=stream.version(),
            prev=stream.last_leaf(),
            provenance=by_somebody(),
            events=tuple(
                NewEvent(
                    event_id=EventId(uuid4()),
                    type=str(event.__struct_config__.tag),
                    schema_version=event.schema_version,
                    payload=encode(event),
                )
                for event in events
            ),
        ),
    )
    return await ledger.head()


def a_newer_claim():
    older = claimed(by=SAM)
    return NewerClaimed(**{name: getattr(older, name) for name in older.__struct_fields__}, place="Reykjavík")


def state_of_feed(running, name):
    return next(found for found in running.runner.health() if found.name == name)


async def test_an_older_release_waits_and_goes_on_after_the_upgrade(database, ledger, upgrade):
    suspect = ledger.decision_stream(SUSPECT)
    await append(ledger, draft(Stream(name=suspect, events=()), [submitted()], by_somebody()))
    before = await written_by_a_newer_release(ledger, suspect, a_newer_claim())
    account = account_stream(PersonId(uuid4()))
    await append(ledger, draft(Stream(name=account, events=()), [registered()], by_somebody()))
    after = await ledger.head()

    async with service(database) as running:
        await until(
            lambda: all(
                state_of_feed(running, name).state is State.WAITING_FOR_NEWER_RELEASE for name in WANT_CLAIMS
            )
        )
        await running.level(after, *WANT_NONE)
        assert {state_of_feed(running, name).position for name in WANT_CLAIMS} == {before - 1}
        async with ledger.pool.acquire() as conn:
            row = (await find(conn, ledger.ledger_id, [suspect]))[suspect].row
        assert row.standing.hold is None

    upgrade()
    async with service(database, [newer(feed) for feed in ALL]) as running:
        await running.level(after, *WANT_CLAIMS, *WANT_NONE)
        async with ledger.pool.acquire() as conn:
            row = (await find(conn, ledger.ledger_id, [suspect]))[suspect].row
        assert row.standing.hold.holder == SAM
    state = state_of(newer(DECISION), await read_stream(ledger, suspect))
    assert isinstance(state, InReview)


async def test_a_type_that_nobody_wants_holds_nobody_up(database, ledger):
    elsewhere = account_stream(PersonId(uuid4()))
    await written_by_a_newer_release(ledger, elsewhere, Teleported(at=submitted().at))
    await append(
        ledger,
        draft(Stream(name=ledger.decision_stream(SUSPECT), events=()), [submitted()], by_somebody()),
    )
    async with service(database) as running:
        await running.level(await ledger.head(), *WANT_CLAIMS, *WANT_NONE)

        assert {found.state for found in running.runner.health()} == {State.RUNNING}


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (a_newer_claim(), "unknown-schema-version"),
        (Teleported(at=submitted().at), "unknown-event-type"),
    ],
)
async def test_the_api_says_that_it_cannot_read_a_stream(database, event, code):
    async with serving(database, passwords=cheap_passwords()) as api:
        await _check_refusals(api, event, code)


async def _check_refusals(api: Api, event: Event, code: str) -> None:
    admin = await api.login()
    answer = await api.client.post("/api/decisions/submit", headers=admin, json=submission(SUSPECT))
    assert answer.status_code == 200
    await written_by_a_newer_release(api.ledger, api.ledger.decision_stream(SUSPECT), event)

    path = f"/api/decisions/{SUSPECT}"
    for refused in (
        await api.client.get(path, headers=admin),
        await api.client.get(f"{path}/response", headers=admin),
        await api.client.post(f"{path}/decide", headers=admin, json=verdict(SUSPECT)),
        await api.client.post(f"{path}/escalate?escalation_reason=why", headers=admin),
    ):
        assert refused.status_code == 503
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert "Retry-After" in refused.headers
        problem = refused.json()
        assert problem["code"] == code
        assert "upgrade this one" in problem["detail"]
    others = await api.client.post("/api/decisions/submit", headers=admin, json=submission("another"))
    assert others.status_code == 200
