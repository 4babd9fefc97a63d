"""People are looked up by name and by id; what cannot be stored is nobody's name."""

from uuid import uuid4

from ledger.domain.ids import PersonId
from ledger.identity import people
from ledger.identity.identity import Identity
from ledger.identity.people import Record, commitment
from ledger.identity.session_rows import Client
from tests.identity.house import admitted, record


async def test_names_of_many_are_looked_up_at_once_and_verbatim(identity: Identity) -> None:
    sam, ben = await admitted(identity, "Sam"), await admitted(identity, "BEN")
    erased = PersonId(uuid4())
    ledger = identity.ledger

    names = await people.names_of(ledger.pool, ledger.ledger_id, [sam, ben, sam, erased])

    assert names == {sam: "Sam", ben: "BEN"}
    assert await people.names_of(ledger.pool, ledger.ledger_id, []) == {}


async def test_people_are_listed_by_name_page_by_page(identity: Identity) -> None:
    for name in ("sam", "Ada", "ben"):
        await admitted(identity, name)
    ledger = identity.ledger

    first = await people.list_people(ledger.pool, ledger.ledger_id, limit=2)
    rest = await people.list_people(ledger.pool, ledger.ledger_id, after=first[-1].record.username, limit=2)

    assert [person.record for person in first] == [record("Ada"), record("ben")]
    assert [person.record for person in rest] == [record("sam")]


async def test_nobody_has_a_name_that_cannot_be_stored(identity: Identity) -> None:
    ledger = identity.ledger

    assert await people.find(ledger.pool, ledger.ledger_id, "a\0b") is None
    assert await people.find(ledger.pool, ledger.ledger_id, "\udc00") is None


def test_a_commitment_depends_on_salt_and_on_every_field() -> None:
    record = Record(username="sam", email="sam@example.org", full_name="Sam")
    others = [
        commitment(b"another salt", record),
        commitment(b"salt", Record(username="Sam", email="sam@example.org", full_name="Sam")),
        commitment(b"salt", Record(username="sam", email="sam@example.com", full_name="Sam")),
        commitment(b"salt", Record(username="sam", email="sam@example.org", full_name="sam")),
    ]

    assert len({commitment(b"salt", record), *others}) == 5


def test_what_a_client_says_of_itself_is_cut_and_cleared() -> None:
    client = Client.of("192.0.2.1", "a\0b\ud800" + "x" * 1_000)

    assert client.user_agent.startswith("a?b?x")
    assert len(client.user_agent) == 512
