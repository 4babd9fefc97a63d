"""What a notary's rounds of witnesses bring, and what they find out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.sealing.notes import checkpoint_in
from ledger.sealing.rows import Sealed
from ledger.sealing.witnesses import Watch, Witnessed, cosigned_note, witnessed
from ledger.store.ledger import Ledger
from ledger.verifier.checkpoint import parse_checkpoint
from ledger.verifier.policy import accepted, parse_policy
from tests.support.receiver import HANG, answering
from tests.support.sealing import append_some, keyring_in, sealed_in
from tests.support.small_log import SmallLog
from tests.support.watching import Partner, answer_of, hold_round, partners_of, rounds_of, watch_of

AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def sealed(ledger: Ledger, tmp_path: Path) -> Sealed:
    await append_some(ledger, 3)
    return await sealed_in(ledger, tmp_path)


@pytest.fixture
def vkey(ledger: Ledger, tmp_path: Path, sealed: Sealed) -> str:
    return keyring_in(ledger, tmp_path).signers()[0].vkey


@pytest.fixture
async def pair(tmp_path: Path, vkey: str) -> AsyncIterator[list[Partner]]:
    async with partners_of(tmp_path, vkey, "north", "south") as found:
        yield found


async def note_of(ledger: Ledger, sealed: Sealed) -> str:
    async with ledger.pool.acquire() as conn:
        return await cosigned_note(conn, ledger.ledger_id, sealed)


async def standing_of(ledger: Ledger, watch: Watch) -> Witnessed:
    async with ledger.pool.acquire() as conn:
        return await witnessed(conn, ledger.ledger_id, watch)


def problems_in(found: Witnessed) -> list[str | None]:
    return [None if one.partner is None else one.partner.problem for one in found.standings]


async def test_a_policy_of_two_witnesses_accepts_the_note_that_is_served(
    ledger: Ledger, sealed: Sealed, vkey: str, pair: list[Partner]
):
    await hold_round(rounds_of(ledger, watch_of(*pair)))

    note = await note_of(ledger, sealed)
    north, south = pair
    policy = f"log {vkey}\nwitness n {north.cosigner.vkey}\nwitness s {south.cosigner.vkey}\n"
    policy += "group both all n s\nquorum both\n"
    found = accepted(parse_policy(policy.encode()), parse_checkpoint(note.encode()))
    assert sorted(found.cosigned) == ["n", "s"]


async def test_the_next_round_proves_from_where_the_last_one_ended(
    ledger: Ledger, tmp_path: Path, pair: list[Partner]
):
    rounds = rounds_of(ledger, watch_of(*pair))
    await hold_round(rounds)
    await append_some(ledger, 300)
    sealed = await sealed_in(ledger, tmp_path)
    await hold_round(rounds)

    assert [partner.size() for partner in pair] == [303, 303]
    assert len(pair[0].receiver.received) == 2
    assert pair[0].receiver.received[1].body.startswith(b"old 3\n")
    assert (await note_of(ledger, sealed)).count("\n— ") == 3


async def test_a_process_that_begins_anew_goes_on_from_the_stored_cosignature(
    ledger: Ledger, tmp_path: Path, pair: list[Partner]
):
    await hold_round(rounds_of(ledger, watch_of(*pair)))
    await ledger.pool.execute("delete from work.notary_errands")
    await append_some(ledger, 4)
    await sealed_in(ledger, tmp_path)
    await hold_round(rounds_of(ledger, watch_of(*pair)))

    assert [request.body[:6] for request in pair[0].receiver.received] == [b"old 0\n", b"old 3\n"]


async def test_a_witness_that_knows_more_than_we_remember_says_where_to_begin(
    ledger: Ledger, tmp_path: Path, pair: list[Partner]
):
    await hold_round(rounds_of(ledger, watch_of(*pair)))
    await ledger.pool.execute("delete from work.notary_errands")
    await ledger.pool.execute("delete from work.notary_cosignatures")
    await append_some(ledger, 4)
    await sealed_in(ledger, tmp_path)
    await hold_round(rounds_of(ledger, watch_of(*pair)))

    assert [request.body[:6] for request in pair[0].receiver.received] == [b"old 0\n", b"old 0\n", b"old 3\n"]
    assert pair[0].size() == 7


async def test_one_that_is_down_keeps_nobody_from_the_quorum(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    pair[0].receiver.answers(HANG)
    watch = watch_of(*pair, needed=1)
    await hold_round(rounds_of(ledger, watch))

    found = await standing_of(ledger, watch)
    assert (found.quorum_size, found.waiting_since) == (sealed.size, None)
    assert problems_in(found) == ["timeout", None]


async def test_a_slow_one_is_busy_and_the_others_go_on(ledger: Ledger, tmp_path: Path, pair: list[Partner]):
    from ledger.sealing.asking import Outbound

    pair[0].receiver.answers(HANG)
    rounds = rounds_of(ledger, watch_of(*pair))
    async with Outbound(attempt_seconds=10.0) as outbound, asyncio.timeout(20):
        await rounds.round(outbound)
        await pair[0].receiver.count(1)
        await pair[1].receiver.count(1)
        await append_some(ledger, 1)
        await sealed_in(ledger, tmp_path)
        while pair[1].size() < 4:
            await rounds.round(outbound)
            await asyncio.sleep(0.01)
        assert len(pair[0].receiver.received) == 1
        await rounds._stop()


async def test_too_few_are_no_quorum_and_the_wait_is_known(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    pair[0].receiver.answers(answering(503))
    watch = watch_of(*pair, needed=2)
    await hold_round(rounds_of(ledger, watch))

    found = await standing_of(ledger, watch)
    assert (found.quorum_size, found.waiting_since) == (None, sealed.sealed_at)
    assert found.is_late(sealed.sealed_at + timedelta(seconds=61), timedelta(minutes=1))
    assert not found.is_late(sealed.sealed_at + timedelta(seconds=59), timedelta(minutes=1))


ANSWERS = (
    (answering(400), "request-malformed"),
    (answering(403), "key-not-trusted"),
    (answering(404), "log-not-known"),
    (answering(422), "proof-refused"),
    (answering(429, "retry-after: 5"), "too-many-requests"),
    (answering(500), "status-500"),
    (answering(301, "location: http://127.0.0.1:1/"), "status-301"),
    (answering(200), "no-valid-cosignature"),
    (answering(200, body=b"nothing like it\n"), "no-valid-cosignature"),
    (answering(200, body=b"\xff"), "no-valid-cosignature"),
    (answering(200, body=b"x" * 70_000), "answer-too-long"),
    (answering(409), "conflict-without-size"),
    (answering(409, "content-type: text/x.tlog.size", body=b"-1\n"), "conflict-without-size"),
    (answering(409, "content-type: text/x.tlog.size", body=b"9" * 19 + b"\n"), "conflict-without-size"),
    (answering(409, "content-type: text/x.tlog.size", body=b"0\n"), "conflict"),
    (b"not even HTTP\r\n\r\n", "unreachable"),
)


async def test_whatever_a_witness_answers_is_a_problem_with_a_name(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    (north, _) = pair
    watch = watch_of(north)
    found = []
    for answer, _ in ANSWERS:
        north.receiver.answers(answer)
        await hold_round(rounds_of(ledger, watch))
        await ledger.pool.execute("delete from work.notary_errands")
        found += problems_in(await standing_of(ledger, watch))

    assert found == [problem for _, problem in ANSWERS]
    assert await note_of(ledger, sealed) == sealed.note


async def test_a_cosignature_of_another_key_is_never_stored(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    north, south = pair
    north.receiver.answer = lambda received: answer_of(south.witness, received)
    await hold_round(rounds_of(ledger, watch_of(north)))
    assert await note_of(ledger, sealed) == sealed.note


async def test_a_cosignature_of_another_checkpoint_is_never_stored(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    (north, _) = pair
    other = SmallLog(checkpoint_in(sealed.note).origin)
    line = north.cosigner.cosign(other.text(3), 1_790_000_000)
    north.receiver.answers(answering(200, body=line.encode()))
    await hold_round(rounds_of(ledger, watch_of(north)))
    assert await note_of(ledger, sealed) == sealed.note


async def test_lines_of_strangers_are_dropped(ledger: Ledger, sealed: Sealed, pair: list[Partner]):
    north, south = pair
    text = sealed.note.partition("\n\n")[0] + "\n"
    lines = south.cosigner.cosign(text, 1_790_000_000) + north.cosigner.cosign(text, 1_790_000_000)
    north.receiver.answers(answering(200, body=lines.encode()))
    await hold_round(rounds_of(ledger, watch_of(north)))

    note = await note_of(ledger, sealed)
    assert "north.example" in note
    assert "south.example" not in note


async def test_a_cosignature_from_the_future_is_never_stored(
    ledger: Ledger, sealed: Sealed, tmp_path: Path, vkey: str
):
    ahead = datetime.now(UTC) + timedelta(hours=1)
    async with partners_of(tmp_path, vkey, "early", clock=ahead.timestamp) as (early,):
        await hold_round(rounds_of(ledger, watch_of(early)))
    assert await note_of(ledger, sealed) == sealed.note


async def test_a_witness_that_has_seen_more_than_there_is_raises_the_alarm(
    ledger: Ledger, sealed: Sealed, tmp_path: Path, pair: list[Partner]
):
    watch = watch_of(*pair)
    conflict = answering(409, "content-type: text/x.tlog.size", body=b"9\n")
    pair[0].receiver.answers(conflict)
    await hold_round(rounds_of(ledger, watch))

    found = await standing_of(ledger, watch)
    assert found.is_forked()
    assert [one.is_forked() for one in found.standings] == [True, False]
    partner = found.standings[0].partner
    assert partner is not None
    assert (partner.problem, partner.forked_size) == ("fork", 9)


async def test_another_root_at_the_same_size_raises_the_alarm(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    watch = watch_of(pair[0])
    rounds = rounds_of(ledger, watch)
    pair[0].receiver.answers(
        answering(409, "content-type: text/x.tlog.size", body=f"{sealed.size}\n".encode())
    )
    await hold_round(rounds)
    assert (await standing_of(ledger, watch)).is_forked()


async def test_a_refused_proof_from_the_size_that_the_witness_named_raises_the_alarm(
    ledger: Ledger, tmp_path: Path, pair: list[Partner]
):
    watch = watch_of(pair[0])
    rounds = rounds_of(ledger, watch)
    await hold_round(rounds)
    await append_some(ledger, 2)
    await sealed_in(ledger, tmp_path)
    pair[0].receiver.answers(answering(422))
    await hold_round(rounds)
    assert (await standing_of(ledger, watch)).is_forked()


async def test_the_alarm_stays_while_the_witness_is_away_and_ends_when_it_cosigns(
    ledger: Ledger, sealed: Sealed, pair: list[Partner]
):
    north, watch = pair[0], watch_of(pair[0])
    north.receiver.answers(answering(409, "content-type: text/x.tlog.size", body=b"9\n"))
    await hold_round(rounds_of(ledger, watch))
    await ledger.pool.execute("delete from work.notary_errands")
    north.receiver.answers(answering(503))
    await hold_round(rounds_of(ledger, watch))
    away = await standing_of(ledger, watch)
    await ledger.pool.execute("delete from work.notary_errands")
    north.receiver.answer = lambda received: answer_of(north.witness, received)
    await hold_round(rounds_of(ledger, watch))

    assert (away.is_forked(), problems_in(away)) == (True, ["status-503"])
    assert not (await standing_of(ledger, watch)).is_forked()


async def test_one_that_failed_rests_before_it_is_asked_again(ledger: Ledger, pair: list[Partner]):
    pair[0].receiver.answers(answering(503))
    rounds = rounds_of(ledger, watch_of(pair[0]), interval=5.0)
    await hold_round(rounds)
    await hold_round(rounds)
    assert len(pair[0].receiver.received) == 1


async def test_a_quiet_log_is_not_offered_again_at_once(ledger: Ledger, pair: list[Partner]):
    rounds = rounds_of(ledger, watch_of(pair[0]))
    await hold_round(rounds)
    await hold_round(rounds)
    assert len(pair[0].receiver.received) == 1


async def test_a_quiet_log_is_cosigned_anew_after_a_while(
    ledger: Ledger, sealed: Sealed, tmp_path: Path, vkey: str
):
    times = iter([AGO.timestamp(), datetime.now(UTC).timestamp()])
    async with partners_of(tmp_path, vkey, "north", clock=lambda: next(times)) as (north,):
        watch = watch_of(north)
        rounds = rounds_of(ledger, watch)
        await hold_round(rounds)
        before = await standing_of(ledger, watch)
        await hold_round(rounds)
        after = await standing_of(ledger, watch)

    assert before.quorum_at == AGO
    assert after.quorum_at is not None
    assert after.quorum_at > AGO
    assert (await note_of(ledger, sealed)).count("\n— ") == 2


async def test_of_two_processes_one_asks(ledger: Ledger, pair: list[Partner]):
    watch = watch_of(pair[0])
    await hold_round(rounds_of(ledger, watch))
    await hold_round(rounds_of(ledger, watch))
    assert len(pair[0].receiver.received) == 1


async def test_a_witness_without_an_address_is_not_asked_and_no_problem(ledger: Ledger, pair: list[Partner]):
    from msgspec.structs import replace

    watch = watch_of(pair[0])
    silent = replace(watch, witnesses=(replace(watch.witnesses[0], url=None),))
    await hold_round(rounds_of(ledger, silent))
    assert problems_in(await standing_of(ledger, silent)) == [None]


async def test_the_loop_goes_on_by_itself_and_gives_its_errand_back(
    ledger: Ledger, tmp_path: Path, pair: list[Partner]
):
    rounds = rounds_of(ledger, watch_of(*pair), interval=0.01)
    loop = asyncio.create_task(rounds.run_forever())
    await pair[0].receiver.count(1)
    await pair[1].receiver.count(1)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert await ledger.pool.fetchval("select count(*) from work.notary_errands") == 0
