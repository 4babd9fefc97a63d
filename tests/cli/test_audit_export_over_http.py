"""Bundles and proofs from a running service: the same bytes as from its database, through whatever breaks off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx2
import msgspec
import pytest
import pytest_asyncio

from ledger.cli.exporting.bundle import write_bundle
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.from_service import FromService
from ledger.cli.exporting.prove import from_database, from_the_service
from ledger.cli.exporting.service import Service, ServiceAway, ServiceRefused
from ledger.cli.exporting.source import Wanted
from ledger.domain.export.events import LedgerExported, Tier
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.sealing.halting import GuardAhead
from ledger.sealing.standing import claim, report
from ledger.store.streams import append
from tests.api.answers import decide, submit
from tests.builders.people import NOW
from tests.cli.test_audit_export import files
from tests.support.databases import Cluster, Database
from tests.support.events import a_large_append
from tests.support.http import SECRET_KEY
from tests.support.listening import Reached, reachable
from tests.support.sealed_log import ORIGIN, SIGNER, seal

together = pytest.mark.asyncio(loop_scope="module")
KEYRING = Keyring([SECRET_KEY], SUBJECT_KEY_PURPOSE)


class Breaking(httpx2.AsyncBaseTransport):
    """A line that breaks once in the middle of every long answer, and loses one request in five."""

    def __init__(self) -> None:
        self.inner, self.asked, self.broke = httpx2.AsyncHTTPTransport(), 0, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.asked % 5 == 0:
            raise httpx2.ConnectError("lost")
        answer = await self.inner.handle_async_request(request)
        if request.url.path.endswith("/payloads") and self.broke < 2:
            self.broke += 1
            answer.stream = Cut(answer.stream)
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()


class Cut(httpx2.AsyncByteStream):
    """The first piece of an answer, and half of the next."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for number, piece in aenumerate(self.stream):
            yield piece[: len(piece) // 2] if number else piece
            if number:
                raise httpx2.ReadError("lost")

    async def aclose(self) -> None:
        await self.stream.aclose()


async def aenumerate(stream: httpx2.AsyncByteStream) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    async for piece in stream:
        yield number, piece
        number += 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reached(postgres: Cluster) -> AsyncIterator[Reached]:
    """A service at a port with some decisions, all of it sealed."""
    async with postgres.fresh() as database, reachable(database) as found:
        admin = await found.api.login()
        await found.api.newcomer("audrey", "auditor")
        await found.api.newcomer("vic", "viewer")
        for number in range(40):
            await submit(found.api, admin, f"CASE-{number}", forensic_summary="\u2028é“\n" * 200)
            await decide(found.api, admin, f"CASE-{number}")
        await seal(found.api.ledger)
        yield found


@asynccontextmanager
async def as_(
    reached: Reached, username: str, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[Service]:
    url, headers = f"http://127.0.0.1:{reached.port}", await reached.api.login(username)
    async with httpx2.AsyncClient(
        base_url=url, headers=headers, transport=transport, trust_env=False
    ) as client:
        yield Service(client)


@together
@pytest.mark.parametrize("tier", list(Tier))
async def test_a_bundle_is_the_same_from_the_service_and_from_its_database(
    reached: Reached, tmp_path: Path, tier: Tier
):
    wanted = Wanted(tier=tier)
    async with as_(reached, "audrey") as service:
        await write_bundle(FromService(service), wanted, tmp_path / "service", now=NOW)
    await write_bundle(FromDatabase(reached.api.ledger, KEYRING), wanted, tmp_path / "database", now=NOW)
    assert files(tmp_path / "service") == files(tmp_path / "database")


@together
async def test_a_line_that_breaks_costs_nothing(
    reached: Reached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ledger.store.openings.PAGE", 7)
    monkeypatch.setattr("ledger.cli.exporting.service.WAIT", 0.0)
    wanted, line = Wanted(tier=Tier.PAYLOAD, first=5), Breaking()
    async with as_(reached, "audrey", line) as service:
        await write_bundle(FromService(service), wanted, tmp_path / "service", now=NOW)
    assert line.broke == 2
    await write_bundle(FromDatabase(reached.api.ledger, KEYRING), wanted, tmp_path / "database", now=NOW)
    assert files(tmp_path / "service") == files(tmp_path / "database")


@together
async def test_the_event_names_the_auditor_and_comes_once(reached: Reached, tmp_path: Path):
    before = await reached.api.ledger.head()
    async with as_(reached, "audrey") as service:
        wish = await write_bundle(
            FromService(service), Wanted(tier=Tier.DISCLOSED), tmp_path / "bundle", now=NOW
        )
    async with reached.api.ledger.pool.acquire() as conn:
        rows = await conn.fetch(
            "select actor, payload from ledger.events where position > $1 and type = 'ledger-exported'",
            before,
        )
    (event,) = [msgspec.json.decode(row["payload"], type=LedgerExported) for row in rows]
    assert str(event.by) == rows[0]["actor"]
    assert (event.tier, event.first, event.last, event.size) == (Tier.DISCLOSED, 1, wish.size, wish.size)


@together
async def test_whoever_may_not_is_told_so_and_nothing_is_left(reached: Reached, tmp_path: Path):
    async with as_(reached, "vic") as service:
        with pytest.raises(ServiceRefused) as refused:
            await write_bundle(FromService(service), Wanted(tier=Tier.ENVELOPE), tmp_path / "bundle", now=NOW)
    assert refused.value.context["status"] == 403
    assert files(tmp_path) == {}


@together
async def test_a_service_that_stays_away_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ledger.cli.exporting.service.PATIENCE", 0.0)
    async with httpx2.AsyncClient(base_url="http://127.0.0.1:1", trust_env=False) as client:
        with pytest.raises(ServiceAway):
            await write_bundle(
                FromService(Service(client)), Wanted(tier=Tier.ENVELOPE), tmp_path / "bundle", now=NOW
            )
    assert files(tmp_path) == {}


@together
async def test_the_head_is_that_of_the_log(reached: Reached):
    async with as_(reached, "audrey") as service:
        source = FromService(service)
        assert await source.head() == await reached.api.ledger.head()
        assert await source.sealed() <= await source.head()


@together
async def test_a_proof_is_the_same_from_the_service_and_from_its_database(reached: Reached):
    async with reached.api.ledger.pool.acquire() as conn:
        row = await conn.fetchrow("select event_id, envelope from ledger.events where position = 7")
    async with as_(reached, "audrey") as service:
        proven = await from_the_service(service, row["event_id"])
    assert proven == await from_database(reached.api.ledger, row["event_id"])
    assert (proven.entry, proven.position) == (row["envelope"], 7)


async def test_whoever_is_out_gets_no_more(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ledger.store.openings.PAGE", 1)
    async with reachable(database) as found:
        for _ in range(200):  # more than what lies between a service and a client that does not read
            await append(found.api.ledger, a_large_append(100_000))
        headers = await found.api.newcomer("audrey", "auditor")
        await seal(found.api.ledger)
        async with as_(found, "audrey") as service:
            source = FromService(service)
            wish = await source.begin(Wanted(tier=Tier.PAYLOAD))
            pieces = source.payloads(wish)
            await anext(pieces)
            await out(found, headers)
            with pytest.raises(ServiceRefused) as refused:
                async for _ in pieces:
                    pass
    assert refused.value.context["status"] == 401


async def out(found: Reached, audrey: dict[str, str]) -> None:
    """Take an auditor's sessions away."""
    admin = await found.api.login()
    answer = await found.api.client.post(
        "/api/auth/users/audrey/deactivate", headers=admin, json={"reason": "left"}
    )
    assert answer.status_code == 200, answer.text
    assert (await found.api.client.get("/api/auth/me", headers=audrey)).status_code == 401


@together
async def test_an_auditor_elsewhere_is_told_that_sealing_is_halted(reached: Reached):
    ledger, notary = reached.api.ledger, UUID(int=1)
    async with as_(reached, "audrey") as service, ledger.pool.acquire() as conn:
        assert await FromService(service).halted() is None
        assert await claim(conn, ledger.ledger_id, notary, ORIGIN)
        halted = GuardAhead(guard=2, database=1)
        await report(conn, ledger.ledger_id, notary, vkey=SIGNER.vkey, halted=halted)
        assert await FromService(service).halted() == "guard-ahead"
