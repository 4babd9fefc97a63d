"""All about one decision in a folder: a page that people judge by, and what programs verify."""

import hashlib
import re
import subprocess
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, get_args, get_type_hints
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from ledger.cli.evidence.command import write_evidence
from ledger.cli.evidence.dossier import Dossier, gather
from ledger.cli.evidence.markup import element, said
from ledger.cli.evidence.people import _people_fields, people_in
from ledger.domain.decision.events import DecisionEvent, HandoverOffered
from ledger.domain.decision.state import DecisionNotFound
from ledger.domain.export.events import DecisionExported
from ledger.domain.ids import DecisionId, LeaseId
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.personal.tokens import MARK
from ledger.sealing.tree import leaf_hash
from ledger.store.codec import decode
from ledger.store.evidence import erase
from ledger.verifier.evidence import verify_evidence
from ledger.verifier.policy import PolicyMalformed, parse_policy
from ledger.verifier.proofs import check_proof, parse_proof
from tests.api.answers import decide, submit
from tests.builders.decision_events import submitted
from tests.builders.people import ANA, BEN, ENGINE, NOW, SAM
from tests.support.databases import Cluster, Database
from tests.support.desk import DECISIONS, Desk
from tests.support.http import ADMIN, SECRET_KEY, cheap_passwords, serving
from tests.support.sealed import Office
from tests.support.sealed_log import ORIGIN, SIGNER, seal

together = pytest.mark.asyncio(loop_scope="module")
KEYRING: Final = Keyring([SECRET_KEY], SUBJECT_KEY_PURPOSE)
WORDS: Final = "<script>alert(1)</script> & “agreed” \u202eflip"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(postgres: Cluster) -> AsyncIterator[Database]:
    async with postgres.fresh() as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(home: Database) -> AsyncIterator[Desk]:
    """A machine, two analysts and two administrators, and what they did to a few decisions; then it is sealed."""
    async with serving(home, passwords=cheap_passwords()) as api:
        desk = Desk(api)
        for name, role in ((ADMIN, "admin"), ("engine", "service"), ("ana", "analyst"), ("ben", "analyst")):
            await desk.seat(name, role)
        await desk.seat("ada", "admin")
        await approved(desk)
        await overridden(desk)
        await seal(api.ledger)
        await submit(api, desk.people["engine"].headers, "OPEN")
        yield desk


async def approved(desk: Desk) -> None:
    engine, ana, ben = (desk.people[name].headers for name in ("engine", "ana", "ben"))
    await submit(desk.api, engine, "CASE-1", forensic_summary=WORDS)
    path = f"{DECISIONS}/CASE-1/evidence?name=pcap%20of%20the%20host.txt"
    headers = {**ana, "Content-Type": "text/plain"}
    assert (await desk.api.client.post(path, headers=headers, content=b"seen")).status_code == 200
    await decide(desk.api, ana, "CASE-1", "escalated", escalation_reason=WORDS, approved_actions=[])
    assert (await decide(desk.api, ben, "CASE-1", notes=WORDS)).status_code == 200


async def overridden(desk: Desk) -> None:
    await submit(desk.api, desk.people["ana"].headers, "GLASS")
    await desk.with_fresh_factor("ada")
    await desk.with_fresh_factor(ADMIN)
    wish = {"outcome": "approved", "approved_actions": ["block_ip"], "reason": "fire", "ticket": "T-1"}
    for name, path, body in (("ada", "override", wish), (ADMIN, "countersign", {"notes": "I stand by it"})):
        answer = await desk.api.client.post(
            f"{DECISIONS}/GLASS/{path}", headers=desk.people[name].headers, json=body
        )
        assert answer.status_code == 200, answer.text


async def dossier_of(desk: Desk, decision: str) -> Dossier:
    return await gather(desk.api.ledger, KEYRING, DecisionId(decision), now=NOW)


async def folder_of(desk: Desk, decision: str, target: Path) -> Path:
    await write_evidence(desk.api.ledger, await dossier_of(desk, decision), target)
    return target


def sums_wrong(folder: Path) -> str:
    check = ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"]
    return subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False).stdout


def page_in(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def lines_in(file: Path) -> list[dict]:
    return [msgspec.json.decode(line) for line in file.read_bytes().split(b"\n")[:-1]]


class Text(HTMLParser):
    """What a browser makes of a page: its tags with attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.pieces)


TAGS: Final = {
    *("html", "head", "meta", "title", "style", "body", "section", "footer", "div", "span", "p"),
    *("h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre"),
}


@together
async def test_the_page_tells_who_signed_what_with_which_meaning(desk: Desk, tmp_path: Path):
    page = Text(page_in(await folder_of(desk, "CASE-1", tmp_path / "case")))
    signed = page.text.partition("Signatures")[2].partition("What happened")[0]
    assert re.findall(r"(.*) of the night shift", signed) == ["ana", "ben"]
    assert re.findall(r"Meaning\n(.*)", signed) == ["escalation to level 1", "approval"]
    assert re.findall(r"In the role of\n(.*)", signed) == ["a person: an analyst"] * 2
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", at)
        for at in re.findall(r"Date and time\n(.*)", signed)
    )
    how = re.findall(r"Authenticated by\n(.*)", signed)
    assert [one.partition(" with ")[2] for one in how] == ["password; no second factor was proven in it"] * 2


@together
async def test_an_override_is_signed_twice_with_proven_second_factors(desk: Desk, tmp_path: Path):
    page = Text(page_in(await folder_of(desk, "GLASS", tmp_path / "glass")))
    signed = page.text.partition("Signatures")[2].partition("What happened")[0]
    meanings = ["override of all rules: approved", "countersignature of the override"]
    assert re.findall(r"Meaning\n(.*)", signed) == meanings
    assert re.findall(r"Their words\n(.*)", signed) == ["T-1: fire", "I stand by it"]
    how = re.findall(r"Authenticated by\n(.*)", signed)
    assert re.search(r"second factor last proven \d+ s before$", how[0])
    assert "a second factor had been proven within 5 minutes" in how[1]


@together
async def test_the_page_tells_the_part_of_the_machine(desk: Desk, tmp_path: Path):
    by_machine = Text(page_in(await folder_of(desk, "CASE-1", tmp_path / "case"))).text
    assert "engine, a machine, asked for this decision. It could not take it itself." in by_machine
    assert "It was 89.5 % sure, and recommended: Block the address; Quarantine the build host." in by_machine
    by_person = Text(page_in(await folder_of(desk, "GLASS", tmp_path / "glass"))).text
    assert "No machine asked for this decision: ana of the night shift (ana) did." in by_person


@together
async def test_what_people_wrote_stays_text(desk: Desk, tmp_path: Path):
    page = Text(page_in(await folder_of(desk, "CASE-1", tmp_path / "case")))
    assert {tag for tag, _ in page.tags} == TAGS
    assert "Digest of exactly this: " in page.text
    shown = WORDS.replace("\u202e", "[U+202E]")  # what would turn the text round is shown instead
    assert sum(shown in piece for piece in page.pieces) >= 6
    assert not any("\u202e" in piece for piece in page.pieces)


@together
async def test_the_page_loads_nothing_and_runs_nothing(desk: Desk, tmp_path: Path):
    page = Text(page_in(await folder_of(desk, "CASE-1", tmp_path / "case")))
    assert {name for _, attributes in page.tags for name in attributes} == {
        *("lang", "charset", "http-equiv", "content", "name", "class", "scope", "dir")
    }
    (policy,) = [one["content"] for _, one in page.tags if "http-equiv" in one]
    style = re.search(r"<style>(.*?)</style>", page_in(tmp_path / "case"), re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
    assert not re.search(r"url\(|@import|https?:", page_in(tmp_path / "case"))


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]) | st.sampled_from("<>&\"'/=`;-!\n")))
def test_any_text_is_shown_as_it_is(text: str):
    page = Text(element("p", said(text), element("b", "x", title=text)).text)
    assert [tag for tag, _ in page.tags] == ["p", "span", "b"]
    assert page.tags[2][1] == {"title": text}
    assert "".join(page.pieces) == f"{text}x"


def test_what_no_page_may_hold_is_replaced():
    assert said("a\0b\x1b[31m\ud800\x85c\td\n").text.partition(">")[2] == "a�b�[31m?�c\td\n</span>"


@together
async def test_every_event_is_there_byte_for_byte_with_what_opens_it(desk: Desk, tmp_path: Path):
    folder = await folder_of(desk, "CASE-1", tmp_path / "case")
    own, supporting = (lines_in(folder / f"{name}.ndjson") for name in ("events", "supporting"))
    assert [one["type"] for one in own] == [
        *("decision-submitted", "evidence-attached", "decision-escalated", "vote-cast", "decision-resolved")
    ]
    assert Counter(one["type"] for one in supporting) == {"account-registered": 3, "session-opened": 2}
    for one in (*own, *supporting):
        entry = one["envelope"].encode()
        assert (folder / f"entries/{one['position']}.json").read_bytes() == entry
        assert leaf_hash(entry).hex() == one["leaf_hash"]
        data = hashlib.sha256(bytes.fromhex(one["salt"]) + one["payload"].encode()).hexdigest()
        assert data == msgspec.json.decode(entry)["data"]


@together
async def test_every_sealed_event_has_a_proof_that_verifies(desk: Desk, tmp_path: Path):
    folder = await folder_of(desk, "GLASS", tmp_path / "glass")
    events = [*lines_in(folder / "events.ndjson"), *lines_in(folder / "supporting.ndjson")]
    policy = parse_policy(f"log {SIGNER.vkey}\nquorum none\n".encode())
    for one in events:
        proof = parse_proof((folder / f"proofs/{one['position']}.tlog-proof").read_bytes())
        assert proof.index == one["position"] - 1
        check_proof(proof, (folder / f"entries/{one['position']}.json").read_bytes(), policy)
    assert (folder / "checkpoint").read_text().startswith(f"{ORIGIN}\n")


@together
async def test_the_policy_template_trusts_nobody_until_a_key_is_written_into_it(desk: Desk, tmp_path: Path):
    template = (await folder_of(desk, "GLASS", tmp_path / "glass") / "policy-template.txt").read_text("utf-8")
    with pytest.raises(PolicyMalformed, match="no log line"):
        parse_policy(template.encode())
    filled = template.replace(f"# log {ORIGIN}+…", f"log {SIGNER.vkey}")
    assert [key.name for key in parse_policy(filled.encode()).logs] == [ORIGIN]
    assert SIGNER.vkey not in template


@together
async def test_what_is_not_sealed_yet_is_said_so(desk: Desk, tmp_path: Path):
    folder = await folder_of(desk, "OPEN", tmp_path / "open")
    page = Text(page_in(folder)).text
    assert "1 of 2 events are not sealed yet" in page
    assert "pending: there is no verdict yet" in page
    assert "Nobody signed anything." in page
    assert len(list((folder / "proofs").iterdir())) == 1  # of the registration of whoever asked


@together
async def test_files_are_checked_against_the_log(desk: Desk, tmp_path: Path):
    right = await folder_of(desk, "CASE-1", tmp_path / "right")
    assert (right / "files/001-pcap_of_the_host.txt").read_bytes() == b"seen"
    assert "as attached: its SHA-256 is the one in the log" in page_in(right)
    async with desk.api.ledger.pool.acquire() as conn:
        await conn.execute("update work.evidence_chunks set content = 'sewn'")
    wrong = await folder_of(desk, "CASE-1", tmp_path / "wrong")
    assert "NOT what was attached" in page_in(wrong)
    async with desk.api.ledger.pool.acquire() as conn:
        await conn.execute("update work.evidence_chunks set content = 'seen'")


@together
async def test_a_file_that_was_erased_is_told_to_be(desk: Desk, tmp_path: Path):
    await submit(desk.api, desk.people["engine"].headers, "TELLS")
    path, headers = f"{DECISIONS}/TELLS/evidence?name=who.txt", {**desk.people["ana"].headers}
    headers["Content-Type"] = "text/plain"
    assert (await desk.api.client.post(path, headers=headers, content=b"ann")).status_code == 200
    async with desk.api.ledger.pool.acquire() as conn:
        stream = desk.stream("TELLS")
        assert await erase(conn, desk.api.ledger.ledger_id, [stream], NOW) == 1
    folder = await folder_of(desk, "TELLS", tmp_path / "tells")
    assert "erased, with the personal data that it told of" in page_in(folder)
    assert not (folder / "files").exists()
    report = verify_evidence(folder, parse_policy(f"log {SIGNER.vkey}\nquorum none\n".encode()))
    (gone,) = [what for what in report.missing if "file" in what]
    assert gone.endswith(": erased, says whoever made the folder")
    assert report.found == []


@together
async def test_the_folder_lists_what_is_in_it(desk: Desk, tmp_path: Path):
    folder = await folder_of(desk, "CASE-1", tmp_path / "case")
    assert sums_wrong(folder) == ""
    state = msgspec.json.decode((folder / "state.json").read_bytes())
    assert (state["type"], state["answer"]["status"]) == ("resolved", "approved")
    policy = msgspec.json.decode((folder / "policy.json").read_bytes())
    assert (policy["name"], policy["version"]) == ("threat_analysis", 1)


@together
async def test_taking_a_decision_out_is_an_event(desk: Desk, tmp_path: Path):
    before = await desk.api.ledger.head()
    dossier = await dossier_of(desk, "CASE-1")
    await write_evidence(desk.api.ledger, dossier, tmp_path / "case")
    async with desk.api.ledger.pool.acquire() as conn:
        payload = await conn.fetchval("select payload from ledger.events where position = $1", before + 1)
    event = decode((DecisionExported,), "decision-exported", 1, payload)
    assert (event.by, event.decision_id, event.last) == (None, "CASE-1", dossier.story.last)


@together
async def test_what_nobody_asked_for_has_no_evidence(desk: Desk):
    with pytest.raises(DecisionNotFound):
        await dossier_of(desk, "NOTHING")


def all_in(folder: Path) -> str:
    """Every text in a folder but the events as they are stored."""
    kept = [path for path in folder.rglob("*.*") if path.suffix in {".html", ".json"}]
    return "".join(path.read_text("utf-8") for path in kept)


@together
async def test_sealed_text_is_opened_for_people_and_stays_sealed_where_it_is_proven(
    desk: Desk, tmp_path: Path
):
    office, ann = Office(desk), desk.api.ledger.data_subject("ann")
    await office.open()
    await office.submit("LOAN")
    body = {"decision_id": "LOAN", "status": "approved", "approved_actions": ["custom"], "notes": "Zebulon"}
    await office.done("ana", "LOAN/decide", body)
    before = await folder_of(desk, "LOAN", tmp_path / "before")
    assert MARK not in all_in(before)
    assert {word for word in ("Ann Applicant", "Zebulon") if word in page_in(before)} == {
        *("Ann Applicant", "Zebulon")
    }
    assert "Digest of the item as it is stored, with its personal text sealed" in page_in(before)
    stored = (before / "events.ndjson").read_text("utf-8")
    assert MARK in stored
    assert "Zebulon" not in stored

    await office.erase(ann)
    after = await folder_of(desk, "LOAN", tmp_path / "after")
    assert "erased" in page_in(after)
    assert not any(b"Zebulon" in path.read_bytes() for path in after.rglob("*.*"))
    assert (after / "events.ndjson").read_text("utf-8") == stored


@together
async def test_whoever_was_erased_is_told_to_be_erased(desk: Desk, tmp_path: Path):
    person = desk.people["ben"].person
    async with desk.api.ledger.pool.acquire() as conn:
        await conn.execute("delete from work.people where person_id = $1", person)
    folder = await folder_of(desk, "CASE-1", tmp_path / "case")
    assert f"somebody erased ({person})" in Text(page_in(folder)).text
    people = {one["person"]: one for one in msgspec.json.decode((folder / "people.json").read_bytes())}
    assert people[str(person)] == {"person": str(person), "standing": "erased"}
    assert not any(b"ben of the night shift" in path.read_bytes() for path in folder.rglob("*.*"))


def test_everybody_whom_an_event_names_is_found():
    submitted_for = submitted(by=ENGINE, on_behalf_of=SAM)
    offered = HandoverOffered(at=NOW, by=ANA, to=BEN, lease_id=LeaseId(UUID(int=1)))
    assert people_in([submitted_for, offered, submitted_for]) == [ENGINE, SAM, ANA, BEN]


@pytest.mark.parametrize("event_type", get_args(DecisionEvent))
def test_no_event_hides_a_person_where_nobody_looks(event_type: type):
    told = repr(list(get_type_hints(event_type).values()))
    assert told.count("PersonId") == len(_people_fields(event_type))
