"""Checkpoints stamped by an authority of RFC 3161: what is asked, what is kept, and when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from ledger.sealing.asking import Answer, Outbound, PartnerFailed
from ledger.sealing.rows import Sealed
from ledger.sealing.stamping import Stamping
from ledger.sealing.timestamps import Timestamp, authority_of, checked, timestamps_upto
from ledger.store.ledger import Ledger
from tests.support.authority import Authority, authority_in
from tests.support.receiver import HANG, Receiver, receiving
from tests.support.sealing import append_some, sealed_in
from tests.support.stamping import answer_of, openssl_verifies, reply

HOUR = timedelta(hours=1)
NOTE = "log.example/1\n3\nroot\n\n— log.example/1 signature\n"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_in(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def receiver(authority: Authority) -> AsyncIterator[Receiver]:
    async with receiving() as found:
        found.answer = lambda received: answer_of(authority, received)
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sealed(ledger: Ledger, tmp_path: Path) -> Sealed:
    await append_some(ledger, 3)
    return await sealed_in(ledger, tmp_path)


@pytest.fixture
def stamping(ledger: Ledger, receiver: Receiver, clock: Clock, sealed: Sealed) -> Stamping:
    return Stamping(ledger, receiver.url, clock, interval=HOUR)


async def look(stamping: Stamping) -> bool:
    async with Outbound(attempt_seconds=2.0) as outbound:
        return await stamping.stamp_due(outbound)


async def kept(ledger: Ledger) -> list[Timestamp]:
    async with ledger.pool.acquire() as conn:
        return list(await timestamps_upto(conn, ledger.ledger_id, 1_000_000))


async def test_openssl_verifies_what_is_kept_over_the_note(
    ledger: Ledger, sealed: Sealed, stamping: Stamping, authority: Authority
):
    assert await look(stamping)

    (stamp,) = await kept(ledger)
    assert (stamp.size, stamp.note) == (sealed.size, sealed.note)
    assert abs(stamp.stamped_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert openssl_verifies(authority, stamp.token, stamp.note.encode())
    assert not openssl_verifies(authority, stamp.token, stamp.note.encode() + b" ")


async def test_the_request_is_typed_as_one(stamping: Stamping, receiver: Receiver):
    await look(stamping)
    assert receiver.received[0].headers["content-type"] == "application/timestamp-query"


async def test_one_an_hour_is_enough(ledger: Ledger, stamping: Stamping, clock: Clock, tmp_path: Path):
    await look(stamping)
    await append_some(ledger, 2)
    await sealed_in(ledger, tmp_path)
    clock.now += HOUR - timedelta(seconds=1)
    assert not await look(stamping)
    clock.now += timedelta(seconds=1)
    assert await look(stamping)
    assert [stamp.size for stamp in await kept(ledger)] == [3, 5]


async def test_a_quiet_log_is_stamped_once(stamping: Stamping, clock: Clock):
    assert await look(stamping)
    clock.now += 2 * HOUR
    assert not await look(stamping)


async def test_an_authority_that_failed_is_asked_again_before_the_hour_is_over(
    ledger: Ledger, stamping: Stamping, clock: Clock, receiver: Receiver, authority: Authority
):
    receiver.answers(HANG)
    assert not await look(stamping)
    receiver.answer = lambda received: answer_of(authority, received)
    assert not await look(stamping)
    clock.now += timedelta(seconds=11)
    assert await look(stamping)
    assert len(await kept(ledger)) == 1


async def test_of_two_processes_one_asks(
    ledger: Ledger, stamping: Stamping, receiver: Receiver, clock: Clock, tmp_path: Path
):
    await look(stamping)
    await append_some(ledger, 1)
    await sealed_in(ledger, tmp_path)
    clock.now += HOUR
    assert not await look(Stamping(ledger, receiver.url, clock, interval=HOUR))


async def test_the_loop_stamps_by_itself_and_gives_its_errand_back(
    ledger: Ledger, stamping: Stamping, receiver: Receiver
):
    loop = asyncio.create_task(stamping.run_forever(every=0.01))
    async with asyncio.timeout(20):
        while not await kept(ledger):
            await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert await ledger.pool.fetchval("select count(*) from work.notary_errands") == 0


def test_an_authority_is_named_without_what_we_show_it():
    assert (
        authority_of("https://user:secret@tsa.example.org:8443/stamp?key=1#x")
        == "https://tsa.example.org:8443/stamp"
    )


def asked_and_answered(authority: Authority, note: str = NOTE) -> tuple:
    request = (
        TimestampRequestBuilder().data(note.encode()).hash_algorithm(HashAlgorithm.SHA256).nonce().build()
    )
    return request, reply(authority, request.as_bytes())


def an_answer(body: bytes, *, status: int = 200, media_type: str = "application/timestamp-reply") -> Answer:
    return Answer(status=status, media_type=media_type, body=body, retry_after=None)


def problem_of(answer: Answer, request, note: str = NOTE) -> str:
    with pytest.raises(PartnerFailed) as refused:
        checked(answer, request, note)
    return refused.value.problem


def test_the_answer_to_somebody_elses_question_is_refused(authority: Authority):
    request, _ = asked_and_answered(authority)
    _, theirs = asked_and_answered(authority)
    assert problem_of(an_answer(theirs), request) == "nonce-of-another"


def test_the_stamp_of_another_note_is_refused(authority: Authority):
    request, answer = asked_and_answered(authority)
    assert problem_of(an_answer(answer), request, NOTE + "more\n") == "imprint-of-another"


def test_a_refusal_is_no_token(authority: Authority):
    request, _ = asked_and_answered(authority)
    odd = TimestampRequestBuilder().data(b"x").hash_algorithm(HashAlgorithm.SHA512).build()
    assert problem_of(an_answer(reply(authority, odd.as_bytes())), request) == "not-granted"


@pytest.mark.parametrize("body", [b"", b"\x30", b"not DER at all", b"\x30\x03\x02\x01\x00"])
def test_what_is_no_answer_is_refused(authority: Authority, body: bytes):
    request, _ = asked_and_answered(authority)
    assert problem_of(an_answer(body), request) in {"not-a-timestamp", "not-granted"}


def test_another_status_or_media_type_is_refused(authority: Authority):
    request, answer = asked_and_answered(authority)
    assert problem_of(an_answer(answer, status=503), request) == "status-503"
    assert problem_of(an_answer(answer, media_type="text/html"), request) == "not-a-timestamp"


@pytest.mark.parametrize("at", [0, 5, 30, 60, 90, 200, -300, -1])
def test_a_changed_byte_raises_nothing_but_a_refusal(authority: Authority, at: int):
    request, answer = asked_and_answered(authority)
    changed = bytearray(answer)
    changed[at] ^= 0xFF
    with suppress(PartnerFailed):
        checked(an_answer(bytes(changed)), request, NOTE)
