"""An export that waits for what is not sealed yet: not while sealing is halted."""

from uuid import UUID

import pytest

from ledger.cli.exporting.export import _all_there_is
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.source import NothingIsSealed
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.sealing.halting import GuardAhead
from ledger.sealing.standing import claim, report
from ledger.store.ledger import Ledger
from tests.builders.decision_events import SUSPECT, submitted
from tests.support.recorded import happened
from tests.support.sealed_log import ORIGIN, SIGNER

NOTARY = UUID(int=1)
KEYRING = Keyring(["a key for tests that is long enough"], SUBJECT_KEY_PURPOSE)


async def test_who_waits_during_a_halt_is_told_so_at_once(ledger: Ledger):
    await happened(ledger, ledger.decision_stream(SUSPECT), submitted())
    async with ledger.pool.acquire() as conn:
        assert await claim(conn, ledger.ledger_id, NOTARY, ORIGIN)
        halted = GuardAhead(guard=2, database=1)
        await report(conn, ledger.ledger_id, NOTARY, vkey=SIGNER.vkey, halted=halted)
    with pytest.raises(NothingIsSealed) as refused:
        await _all_there_is(FromDatabase(ledger, KEYRING))
    assert refused.value.context == {"position": 1, "size": 0, "halted": "guard-ahead"}
