"""Keys of data subjects: wrapped as they are kept, one for each subject, gone when they are erased."""

import asyncio
from datetime import timedelta

import msgspec
from structlog.testing import capture_logs

from ledger.domain.ids import StreamName, SubjectId
from ledger.identity.identity import SUBJECT_KEY_PURPOSE, Identity
from ledger.identity.keys import Keyring
from ledger.personal import keys
from ledger.personal.opening import opened_json, opened_text
from ledger.personal.tokens import Form, SubjectKey, seal
from ledger.reactions.subject_keys import run_forever, sweep
from ledger.store.ledger import Ledger
from tests.builders import NOW
from tests.identity.house import SECRET
from tests.personal.test_tokens import EVENT
from tests.support.databases import Database

NEXT = "the next secret of the settings, as long"
STREAM = StreamName("decision-1")


def ann(ledger: Ledger) -> SubjectId:
    return ledger.data_subject("ann")


async def key_of(identity: Identity, subject: SubjectId, stream: StreamName = STREAM) -> SubjectKey:
    return await keys.key_for(identity.ledger, identity.subject_keys, subject, stream=stream, now=NOW)


async def rows(ledger: Ledger, query: str) -> list[tuple[object, ...]]:
    async with ledger.pool.acquire() as conn:
        return [tuple(row) for row in await conn.fetch(query)]


async def erased(ledger: Ledger, subject: SubjectId) -> int:
    async with ledger.pool.acquire() as conn, conn.transaction():
        return await keys.delete_keys(conn, ledger.ledger_id, subject)


async def test_a_subject_has_one_key_whatever_is_about_it(ledger: Ledger, identity: Identity) -> None:
    first = await key_of(identity, ann(ledger))
    second = await key_of(identity, ann(ledger), StreamName("decision-2"))

    assert first == second
    assert await key_of(identity, ledger.data_subject("ben")) != first


async def test_two_who_ask_at_once_get_keys_that_are_erased_together(
    ledger: Ledger, identity: Identity
) -> None:
    found = await asyncio.gather(*(key_of(identity, ann(ledger)) for _ in range(5)))

    ids = {key.key_id for key in found}
    assert await keys.keys_named(ledger, identity.subject_keys, ids) == {key.key_id: key for key in found}
    assert await erased(ledger, ann(ledger)) == len(ids)
    assert await keys.keys_named(ledger, identity.subject_keys, ids) == {}


async def test_no_key_is_stored_as_it_is(ledger: Ledger, identity: Identity) -> None:
    key = await key_of(identity, ann(ledger))

    stored = await rows(ledger, "select wrapped from work.subject_keys")
    assert all(
        key.secret not in wrapped and key.secret.hex().encode() not in wrapped for (wrapped,) in stored
    )


async def test_what_is_erased_is_gone_and_nothing_says_what_it_was_in(
    ledger: Ledger, identity: Identity
) -> None:
    other = ledger.data_subject("ben")
    token = seal(await key_of(identity, ann(ledger)), EVENT, "notes", Form.TEXT, "Ann")
    kept = seal(await key_of(identity, other), EVENT, "notes", Form.TEXT, "Ben")
    assert await opened_text(identity, f"{token} and {kept}") == "Ann and Ben"

    assert await erased(ledger, ann(ledger)) == 1
    assert await erased(ledger, ann(ledger)) == 0

    assert await opened_text(identity, f"{token} and {kept}") == "erased and Ben"
    assert await rows(ledger, "select subject from work.decision_subjects") == [(other,)]


async def test_a_key_of_an_earlier_secret_opens_and_is_wrapped_anew(
    ledger: Ledger, identity: Identity
) -> None:
    token = seal(await key_of(identity, ann(ledger)), EVENT, "notes", Form.TEXT, "Ann")
    later = Identity.of(ledger, secret_keys=[NEXT, SECRET])
    alone = Identity.of(ledger, secret_keys=[NEXT])

    assert await opened_text(later, token) == "Ann"
    assert await opened_text(alone, token) == "unreadable"
    assert await opened_json(alone, f'{{"a":"{token}"}}'.encode()) == b'{"a":"unreadable"}'

    await sweep(identity)
    await sweep(later)

    assert await opened_text(alone, token) == "Ann"


async def test_the_unreadable_are_counted(ledger: Ledger, identity: Identity) -> None:
    await key_of(identity, ann(ledger))

    async with ledger.pool.acquire() as conn:
        assert await keys.count_unreadable(conn, ledger.ledger_id, [NEXT, SECRET]) == 0
        assert await keys.count_unreadable(conn, ledger.ledger_id, [NEXT]) == 1


async def test_whoever_has_lost_the_secret_seals_under_a_key_of_their_own(
    ledger: Ledger, identity: Identity
) -> None:
    lost = await key_of(identity, ann(ledger))
    keyring = Keyring([NEXT], SUBJECT_KEY_PURPOSE)
    new = await keys.key_for(ledger, keyring, ann(ledger), stream=STREAM, now=NOW + timedelta(days=1))

    assert new != lost
    assert await erased(ledger, ann(ledger)) == 2


async def test_a_key_that_is_not_the_one_it_is_called_opens_nothing(
    ledger: Ledger, identity: Identity
) -> None:
    key, other = await key_of(identity, ann(ledger)), SubjectKey.new()
    token = seal(key, EVENT, "notes", Form.TEXT, "Ann")
    async with ledger.pool.acquire() as conn:
        await conn.execute("update work.subject_keys set key_id = $1", other.key_id)

    assert await keys.keys_named(ledger, identity.subject_keys, [other.key_id]) == {other.key_id: None}
    assert await opened_text(identity, token) == "erased"


async def test_what_has_no_token_asks_for_nothing(ledger: Ledger, identity: Identity) -> None:
    await ledger.pool.close()

    assert await opened_json(identity, b'{"a":"b"}') == b'{"a":"b"}'
    assert await opened_text(identity, "a name") == "a name"


async def test_an_answer_of_very_many_tokens_is_opened_all_the_same(
    ledger: Ledger, identity: Identity
) -> None:
    key = await key_of(identity, ann(ledger))
    texts = [f"text {number}" for number in range(1_000)]
    sealed = [seal(key, EVENT, "payload/iocs", Form.TEXT, text) for text in texts]

    assert msgspec.json.decode(await opened_json(identity, msgspec.json.encode(sealed))) == texts


async def test_a_key_that_is_damaged_stays_as_it_is_and_is_named(ledger: Ledger, identity: Identity) -> None:
    key = await key_of(identity, ann(ledger))
    await ledger.pool.execute("update work.subject_keys set wrapped = $1", bytes(60))
    before = await rows(ledger, "select wrapped, kek_id from work.subject_keys")

    with capture_logs() as logs:
        await sweep(Identity.of(ledger, secret_keys=[NEXT, SECRET]))

    assert await rows(ledger, "select wrapped, kek_id from work.subject_keys") == before
    assert [(line["event"], line["key_id"]) for line in logs] == [("subject_key.unreadable", key.key_id)]


async def test_keys_are_wrapped_anew_by_themselves_also_after_trouble(
    ledger: Ledger, identity: Identity, database: Database
) -> None:
    token = seal(await key_of(identity, ann(ledger)), EVENT, "notes", Form.TEXT, "Ann")
    alone = Identity.of(ledger, secret_keys=[NEXT])
    async with await Ledger.open(database.service_url) as closed:
        pass

    with capture_logs() as logs:
        failing = asyncio.create_task(
            run_forever(Identity.of(closed, secret_keys=[NEXT, SECRET]), every=0.01)
        )
        working = asyncio.create_task(
            run_forever(Identity.of(ledger, secret_keys=[NEXT, SECRET]), every=0.01)
        )
        async with asyncio.timeout(20):
            while await opened_text(alone, token) != "Ann" or len(logs) < 2:
                await asyncio.sleep(0.01)
        assert not failing.done()
        for task in (failing, working):
            task.cancel()
        await asyncio.gather(failing, working, return_exceptions=True)

    assert {line["event"] for line in logs} == {"subject_keys.sweep.failed"}
