"""Evidence files: attached and given out as they were, and whatever is wrong with one leaves nothing behind."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest

from ledger.api.services import Services
from ledger.api.uploads import Uploads
from ledger.domain.decision.informing import MOST_EVIDENCE
from tests.api.answers import assert_refused, together
from tests.builders.workflow_events import evidence_attached
from tests.support.databases import Database
from tests.support.desk import Desk
from tests.support.http import cheap_passwords, serving

pytestmark = together

MIB: Final = 1024 * 1024
PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3


async def attach(
    desk: Desk,
    who: str,
    analysis_id: str,
    content: bytes | AsyncIterator[bytes],
    *,
    name: str = "capture.png",
    kind: str = "image/png",
    **headers: str,
) -> httpx.Response:
    sent = {**desk.people[who].headers, "content-type": kind, **headers}
    return await desk.api.client.post(
        f"/api/decisions/{analysis_id}/evidence", params={"name": name}, headers=sent, content=content
    )


async def stored(desk: Desk) -> tuple[int, int]:
    """How many files there are, and how many pieces of files."""
    row = await desk.api.ledger.pool.fetchrow(
        "select (select count(*) from work.evidence), (select count(*) from work.evidence_chunks)"
    )
    assert row is not None
    return tuple(row)


async def hang_up(desk: Desk, path: str, piece: bytes) -> int:
    """Send one piece of a file and be gone; the status that nobody reads."""
    coming = [
        {"type": "http.request", "body": piece, "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[int] = []

    async def receive() -> dict[str, object]:
        return coming.pop(0) if len(coming) > 1 else coming[0]

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    sent = {"host": "ledger.test", **desk.people["sam"].headers, "content-type": "image/png"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"name=capture.png",
        "root_path": "",
        "headers": [(name.lower().encode(), text.encode()) for name, text in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("ledger.test", 80),
    }
    await desk.api.client._transport.app(scope, receive, send)
    return answered[0]


async def test_a_file_comes_back_as_it_was_sent(desk: Desk) -> None:
    await desk.ask("seen")
    content = PNG * 2_000  # several pieces, the last one not whole

    answer = await attach(desk, "sam", "seen", content, name="build host.png")

    assert answer.status_code == 200, answer.text
    told = answer.json()
    digest = hashlib.sha256(content).hexdigest()
    assert (told["name"], told["media_type"], told["attached_by"]) == ("build host.png", "image/png", "sam")
    assert (told["size"], told["sha256"]) == (len(content), digest)
    assert (await desk.get("vic", "seen/evidence")).json() == [told]
    assert (await desk.get("engine", "seen")).json()["evidence"] == [told]

    file = await desk.get("ana", f"seen/evidence/{told['evidence_id']}")
    assert file.content == content
    assert file.headers["content-length"] == str(len(content))


async def test_a_file_is_given_out_as_an_attachment_and_nothing_else(desk: Desk) -> None:
    await desk.ask("served")
    answer = await attach(
        desk, "engine", "served", b"<script>alert(1)</script>", name='a"b ä.html', kind="text/plain"
    )
    path = f"served/evidence/{answer.json()['evidence_id']}"

    headers = (await desk.get("ana", path)).headers

    assert headers["content-disposition"] == (
        "attachment; filename=\"a_b _.html\"; filename*=UTF-8''a_b%20%C3%A4.html"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert headers["content-type"].startswith("text/plain")
    assert headers["cache-control"] == "no-store"
    assert headers["repr-digest"].startswith("sha-256=:")
    assert_refused(await desk.get("other-engine", path), 404)
    assert_refused(await desk.get("ana", "served/evidence/no-uuid"), 404)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\report.txt", "report.txt"),
        ("/absolute/", "absolute"),
        ("a\x01b\x7f\u202egnp.exe", "abgnp.exe"),
        ("line\u2028feed\r\nX-Evil: 1", "linefeedX-Evil_ 1"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("..hidden.. ", "hidden"),
        ('<i>"q"|?*.txt', "_i__q____.txt"),
        ("100%25.txt", "100_25.txt"),
        ("e\u0301.txt", "é.txt"),
        ("n" * 300 + ".txt", "n" * 196 + ".txt"),
        ("ä" * 300 + ".txt", "ä" * 98 + ".txt"),
    ],
)
async def test_a_name_is_made_harmless(desk: Desk, name: str, kept: str) -> None:
    analysis_id = f"named-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    await desk.ask(analysis_id)

    answer = await attach(desk, "sam", analysis_id, b"text", name=name, kind="text/plain")

    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == kept
    file = await desk.get("sam", f"{analysis_id}/evidence/{answer.json()['evidence_id']}")
    assert file.content == b"text"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "\u202e", " . ", "\x01"])
async def test_a_name_of_nothing_is_refused(desk: Desk, name: str) -> None:
    await desk.ask(f"nameless-{name.encode().hex()}")
    before = await stored(desk)

    refused = await attach(
        desk, "sam", f"nameless-{name.encode().hex()}", b"text", name=name, kind="text/plain"
    )

    assert_refused(refused, 422)
    assert await stored(desk) == before


@pytest.mark.parametrize(
    ("kind", "content", "status", "code"),
    [
        ("text/html", b"<html>", 415, "wrong-content-type"),
        ("image/svg+xml", b"<svg/>", 415, "wrong-content-type"),
        ("application/javascript", b"alert(1)", 415, "wrong-content-type"),
        ("", b"x", 415, "wrong-content-type"),
        ("image/png", b"<html><script>", 422, "evidence-type-differs"),
        ("image/png", b"\x89PN", 422, "evidence-type-differs"),
        ("application/pdf", b"MZ\x90\x00", 422, "evidence-type-differs"),
        ("text/plain", b"MZ\x00\x00", 422, "evidence-type-differs"),
        ("text/plain", b"", 422, "evidence-empty"),
    ],
)
async def test_a_type_that_lies_or_is_not_taken_is_refused(
    desk: Desk, kind: str, content: bytes, status: int, code: str
) -> None:
    await desk.ask("mistyped") if not await desk.events("mistyped") else None
    before = await stored(desk), await desk.events("mistyped")

    refused = await attach(desk, "sam", "mistyped", content, kind=kind)

    assert_refused(refused, status)
    assert refused.json()["code"] == code
    assert (await stored(desk), await desk.events("mistyped")) == before


@pytest.mark.parametrize("kind", ["IMAGE/PNG", "image/png; charset=binary"])
async def test_a_type_may_be_written_in_other_ways(desk: Desk, kind: str) -> None:
    analysis_id = f"typed-{len(kind)}"
    await desk.ask(analysis_id)

    answer = await attach(desk, "sam", analysis_id, PNG, kind=kind)

    assert answer.json()["media_type"] == "image/png"


async def test_a_file_that_says_it_is_too_large_is_not_read(desk: Desk) -> None:
    await desk.ask("huge")
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * MIB

    said = await attach(desk, "sam", "huge", endless(), **{"content-length": str(11 * MIB)})
    assert_refused(said, 413)
    assert said.json()["code"] == "evidence-too-large"
    assert read == 0


async def test_a_file_that_grows_too_large_is_read_no_further(desk: Desk) -> None:
    await desk.ask("growing")
    before = await stored(desk)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield PNG if read == 1 else b"x" * MIB

    refused = await attach(desk, "sam", "growing", endless())

    assert_refused(refused, 413)
    assert read <= 12
    assert (await stored(desk), len(await desk.events("growing"))) == (before, 1)


async def test_a_file_of_the_largest_size_is_taken(desk: Desk) -> None:
    await desk.ask("largest")
    content = PNG.ljust(10 * MIB, b"\0")

    answer = await attach(desk, "sam", "largest", content)
    assert answer.status_code == 200, answer.text
    assert answer.json()["size"] == 10 * MIB

    over = await attach(desk, "sam", "largest", content + b"\0")
    assert_refused(over, 413)


async def test_what_is_larger_than_other_bodies_goes_through_this_one_call_alone(desk: Desk) -> None:
    await desk.ask("wide")
    comment = await desk.post("sam", "wide/comment", {"text": "x" * (2 * MIB)})

    assert_refused(comment, 413)
    assert (await attach(desk, "sam", "wide", PNG.ljust(2 * MIB, b"\0"))).status_code == 200


async def test_a_slow_file_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.ask("slow")
    monkeypatch.setattr(desk.api.services.uploads, "_seconds", 0.05)
    before = await stored(desk)

    async def dripping() -> AsyncIterator[bytes]:
        yield PNG
        await asyncio.sleep(30)

    refused = await attach(desk, "sam", "slow", dripping())

    assert_refused(refused, 408)
    assert (await stored(desk), len(await desk.events("slow"))) == (before, 1)


async def test_so_many_files_at_once_and_no_more(desk: Desk) -> None:
    await desk.ask("crowded")
    arrive, go = asyncio.Semaphore(0), asyncio.Event()

    async def held_back() -> AsyncIterator[bytes]:
        yield PNG
        arrive.release()
        await go.wait()

    people = [who for who in ("engine", "ana", "ben", "sam") for _ in range(4)]
    waiting = [asyncio.create_task(attach(desk, who, "crowded", held_back())) for who in people]
    for _ in people:
        await arrive.acquire()
    refused = await attach(desk, "ada", "crowded", PNG)
    go.set()
    answers = await asyncio.gather(*waiting)

    assert_refused(refused, 503)
    assert refused.json()["code"] == "too-many-uploads"
    assert [answer.status_code for answer in answers] == [200] * 16
    assert (await attach(desk, "sam", "crowded", PNG)).status_code == 200


async def test_nobody_takes_the_places_of_all_others(desk: Desk) -> None:
    await desk.ask("hoarded")
    arrive, go = asyncio.Semaphore(0), asyncio.Event()

    async def held_back() -> AsyncIterator[bytes]:
        yield PNG
        arrive.release()
        await go.wait()

    waiting = [asyncio.create_task(attach(desk, "sam", "hoarded", held_back())) for _ in range(4)]
    for _ in waiting:
        await arrive.acquire()
    refused, other = await attach(desk, "sam", "hoarded", PNG), await attach(desk, "ben", "hoarded", PNG)
    go.set()
    answers = await asyncio.gather(*waiting)

    assert_refused(refused, 503)
    assert refused.json()["code"] == "too-many-own-uploads"
    assert [answer.status_code for answer in (other, *answers)] == [200] * 5
    assert (await attach(desk, "sam", "hoarded", PNG)).status_code == 200


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "unseen"}], ids=["unkeyed", "keyed"])
@pytest.mark.parametrize(
    ("who", "status", "code"),
    [("vic", 403, "insufficient-permissions"), ("other-engine", 404, "decision-not-found")],
)
async def test_who_takes_no_part_attaches_nothing(
    desk: Desk, who: str, status: int, code: str, key: dict[str, str]
) -> None:
    analysis_id = f"private-{who}-{len(key)}"
    await desk.ask(analysis_id)
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield PNG

    refused = await attach(desk, who, analysis_id, body(), **key)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert not read, "refused before it is read"


async def test_nothing_is_attached_after_the_end_or_beyond_the_hundredth(desk: Desk) -> None:
    await desk.ask("ended")
    await desk.post("engine", "ended/withdraw")
    await desk.ask("full")
    await desk.happened("full", *(evidence_attached() for _ in range(MOST_EVIDENCE)))
    before = await stored(desk)

    closed, full = [await attach(desk, "sam", analysis_id, PNG) for analysis_id in ("ended", "full")]

    assert (closed.status_code, closed.json()["code"]) == (409, "decision-closed")
    assert (full.status_code, full.json()["code"]) == (409, "too-much-evidence")
    assert await stored(desk) == before


async def test_what_is_sent_again_with_its_key_is_attached_once(desk: Desk) -> None:
    await desk.ask("again")
    key = {"idempotency-key": "the-capture"}
    first = await attach(desk, "sam", "again", PNG, **key)
    before = await stored(desk)
    await desk.post("engine", "again/withdraw")

    again = await attach(desk, "sam", "again", PNG, **key)
    other = await attach(desk, "sam", "again", PNG + b"x", **key)

    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await stored(desk) == before


async def test_a_race_by_one_key_attaches_one_file(desk: Desk) -> None:
    await desk.ask("raced")
    before = await stored(desk)

    answers = await asyncio.gather(
        *(attach(desk, "sam", "raced", PNG, **{"idempotency-key": "raced"}) for _ in range(4))
    )

    assert {answer.json()["evidence_id"] for answer in answers} == {answers[0].json()["evidence_id"]}
    assert len(await desk.events("raced")) == 2
    assert (await stored(desk))[0] == before[0] + 1


async def test_a_refusal_at_the_last_moment_takes_the_content_back(desk: Desk) -> None:
    """Whoever ends the decision while the file arrives is first; the file leaves nothing."""
    await desk.ask("late")
    before = await stored(desk)

    async def interrupted() -> AsyncIterator[bytes]:
        yield PNG
        await desk.post("engine", "late/withdraw")

    refused = await attach(desk, "sam", "late", interrupted())

    assert (refused.status_code, refused.json()["code"]) == (409, "decision-closed")
    assert await stored(desk) == before


async def test_a_client_that_hangs_up_half_way_leaves_nothing(desk: Desk) -> None:
    await desk.ask("cut")
    before = await stored(desk)

    assert await hang_up(desk, "/api/decisions/cut/evidence", PNG) == 499

    assert (await stored(desk), len(await desk.events("cut"))) == (before, 1)
    assert (await attach(desk, "sam", "cut", PNG)).status_code == 200


async def test_content_that_is_not_what_was_attached_is_not_given_out(desk: Desk) -> None:
    await desk.ask("spoilt")
    told = (await attach(desk, "sam", "spoilt", PNG * 1_000)).json()
    pool = desk.api.ledger.pool
    spoil = (
        "update work.evidence_chunks set content = set_byte(content, 9, 7) where evidence_id = $1 and number = 1",
        "delete from work.evidence_chunks where evidence_id = $1 and number = 1",
    )
    for statement in spoil:
        await pool.execute(statement, told["evidence_id"])

        refused = await desk.get("sam", f"spoilt/evidence/{told['evidence_id']}")

        assert_refused(refused, 503)
        assert refused.json()["code"] == "evidence-damaged"


@pytest.mark.asyncio(loop_scope="function")
async def test_the_largest_size_is_a_setting(database: Database) -> None:
    settings = {"uploads": Uploads(most_bytes=1024)}
    async with serving(database, passwords=cheap_passwords(), settings=settings) as api:
        small = Desk(api)
        await small.seat("engine", "service")
        await small.ask("small")
        assert isinstance(api.services, Services)
        assert (await attach(small, "engine", "small", PNG[:1024].ljust(1024, b"\0"))).status_code == 200
        refused = await attach(small, "engine", "small", PNG.ljust(1025, b"\0"))
        assert_refused(refused, 413)
        assert refused.json()["context"] == {"most": "1024"}


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
async def test_a_file_that_is_compressed_on_its_way_is_refused(desk: Desk, coding: str) -> None:
    await desk.ask("coded-" + coding[:2], "engine")

    answer = await attach(desk, "engine", "coded-" + coding[:2], PNG, **{"content-encoding": coding})

    assert_refused(answer, 415)
    assert "not compressed" in answer.json()["context"]["expected"]
