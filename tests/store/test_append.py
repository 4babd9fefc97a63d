"""An append lands once, after exactly what its command saw, or says why not."""

from ledger.store.appends import Appended
from ledger.store.ledger import Ledger
from ledger.store.streams import append, draft
from tests.support.events import an_event, by_somebody, new_stream


async def test_the_first_event_of_a_stream_is_version_one(ledger: Ledger) -> None:
    landed = await append(ledger, draft(new_stream(), [an_event()], by_somebody()))

    assert isinstance(landed, Appended)
    assert landed.version == 1
    assert landed.first_position == 1
