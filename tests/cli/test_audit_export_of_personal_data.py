"""What a policy marks leaves sealed; its keys leave with the bundles that disclose, until somebody is erased."""

import gzip
import json
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from ledger.api.export_wire import KeysUnreadable
from ledger.cli.exporting.bundle import write_bundle
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.source import Wanted
from ledger.domain.export.events import Tier
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.verifier import manifest
from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.policy import parse_policy
from ledger.verifier.report import Report
from ledger.verifier.verdict import Verdict
from tests.api.answers import together
from tests.api.conftest import desk, shared
from tests.builders.people import NOW
from tests.support.desk import Desk
from tests.support.sealed import Office, attach, payload
from tests.support.sealed_log import SIGNER, seal

__all__ = ["desk", "shared"]

pytestmark = together

BASIS = {"basis": "objection", "reason": "ticket 18"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(desk: Desk) -> Office:
    """Text of every sort about Ann, an item that came again as it was, and one about Ben."""
    found = Office(desk)
    await found.open()
    await found.submit("ANN-1")
    lease = (await found.claimed("ANN-1"))["lease"]["lease_id"]
    await found.done("ana", "ANN-1/request-information", {"lease_id": lease, "question": "Is that all?"})
    await found.done("engine", "ANN-1/provide-information", {"answer": "it is", "payload": payload()})
    assert (await attach(desk, "ana", "ANN-1", "a “note”.txt")).status_code == 200
    verdict = {"decision_id": "ANN-1", "status": "approved", "approved_actions": ["custom"], "notes": "fine"}
    await found.done("ana", "ANN-1/decide", verdict)
    await found.submit("BEN-1", payload("Ben", subject="ben"))
    return found


def lines_of(bundle: Path, name: str) -> list[dict[str, str]]:
    with gzip.open(bundle / "disclosed" / f"{name}.ndjson.gz") as lines:
        return [json.loads(line) for line in lines]


async def written(office: Office, target: Path, keyring: Keyring, *, first: int = 1) -> None:
    last = await office.ledger.head()
    await seal(office.ledger)
    source = FromDatabase(office.ledger, keyring)
    await write_bundle(source, Wanted(tier=Tier.DISCLOSED, first=first, last=last), target, now=NOW)


async def verified(office: Office, target: Path, *, first: int = 1) -> Report:
    await written(office, target, office.desk.api.services.identity.subject_keys, first=first)
    policy = parse_policy(f"log {SIGNER.vkey}\nquorum none\n".encode())
    return verify_bundle(target, Asked(policy=policy, now=NOW, tier=manifest.Tier.DISCLOSED))


async def test_every_token_opens_with_its_key_and_reads_erased_without_it(
    office: Office, tmp_path: Path
) -> None:
    before = await verified(office, tmp_path / "before")
    for who, act, body in (("admin", "erasure", BASIS), ("ada", "erasure/approve", None)):
        answer = await office.desk.api.client.post(
            f"/api/subjects/data_subject/ann/{act}", headers=office.desk.people[who].headers, json=body
        )
        assert answer.status_code == 200, answer.text
    after = await verified(office, tmp_path / "after")

    assert (before.verdict, after.verdict) == (Verdict.VERIFIED, Verdict.VERIFIED)
    assert before.disclosed is not None
    assert after.disclosed is not None
    assert (before.disclosed.opened, after.disclosed.opened) == (11, 2)  # of Ben two


async def test_a_part_discloses_those_whom_its_events_name_and_nobody_else(
    office: Office, tmp_path: Path
) -> None:
    await office.submit("CAT-1", payload("Cat", subject="cat"))
    last = await office.ledger.head()
    before = await office.ledger.pool.fetchval("select count(*) from work.subject_keys")

    report = await verified(office, tmp_path / "bundle", first=last)

    told = {name: lines_of(tmp_path / "bundle", name) for name in ("people", "keys")}
    assert [one["username"] for one in told["people"]] == ["engine"]
    (key,) = told["keys"]
    assert key["subject"] == str(office.ledger.data_subject("cat"))
    assert before > 1
    assert (report.verdict, report.found) == (Verdict.INCOMPLETE, [])
    assert report.disclosed is not None
    assert (report.disclosed.opened, report.disclosed.unopened) == (2, 0)


async def test_a_bundle_that_begins_between_an_item_and_its_repetition_verifies(
    office: Office, tmp_path: Path
) -> None:
    events = await office.ledger.pool.fetch(
        "select position from ledger.events where type = 'information-provided' order by position"
    )

    report = await verified(office, tmp_path / "bundle", first=events[0]["position"])

    assert report.verdict is Verdict.INCOMPLETE
    assert report.found == []


async def test_over_http_a_key_that_cannot_be_read_keeps_back_what_needs_it_and_nothing_else(
    office: Office,
) -> None:
    client, ledger = office.desk.api.client, office.ledger
    places = {}
    for name in ("dan", "eve"):
        await office.submit(f"{name}-1".upper(), payload(name, subject=name))
        places[name] = await ledger.head()
    await seal(ledger)
    lost = "update work.subject_keys set kek_id = $2 where subject = $1 returning key_id"
    eve = ledger.data_subject("eve")
    kek_id = await ledger.pool.fetchval("select kek_id from work.subject_keys where subject = $1", eve)
    await ledger.pool.execute(lost, eve, "a key that is gone")

    async def fetched(first: int, last: int) -> httpx.Response:
        by = office.desk.people["admin"].headers
        asked = {"tier": "disclosed", "from": first, "to": last}
        export = (await client.post("/api/audit/exports", headers=by, json=asked)).json()["export_id"]
        return await client.get(f"/api/audit/exports/{export}/keys", headers=by)

    without, with_eve = await fetched(places["dan"], places["dan"]), await fetched(*places.values())
    await ledger.pool.execute(lost, eve, kek_id)

    assert (without.status_code, with_eve.status_code) == (200, 503)
    (key,) = [json.loads(line) for line in without.text.splitlines()]
    assert key["subject"] == str(ledger.data_subject("dan"))
    assert (with_eve.json()["code"], with_eve.json()["context"]) == ("subject-keys-unreadable", {"keys": "1"})


async def test_a_key_that_cannot_be_read_is_not_passed_over_as_erased(office: Office, tmp_path: Path) -> None:
    other = Keyring(["another secret of the settings, as long"], SUBJECT_KEY_PURPOSE)

    with pytest.raises(KeysUnreadable):
        await written(office, tmp_path / "bundle", other)
