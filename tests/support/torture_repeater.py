"""A process that sends one keyed command many times at once.

Arguments: the database's URL, the decision's stream, the analyst's session, how many times. Says ``ready``, waits
for a line, and prints the answers as one line of JSON.
"""

import asyncio
import json
import sys
from uuid import UUID

import uvloop

from ledger.domain.authority import Role
from ledger.domain.ids import SessionId, StreamName
from ledger.identity.sessions import Principal
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger
from ledger.store.streams import keyed_command_id
from tests.builders import ANA
from tests.gates.desk import Desk


def keyed(request: str = "digest") -> Provenance:
    """The command's name and origin, the same for whoever sends it."""
    return Provenance(actor=str(ANA), command_id=keyed_command_id(ANA, "key"), is_keyed=True, request=request)


async def main(url: str, decision: StreamName, session: SessionId, times: int) -> None:
    desk = Desk(Principal(person=ANA, session=session, role=Role.ANALYST, is_lead=False))
    async with await Ledger.open(url) as ledger:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        answers = await asyncio.gather(*(desk.votes(ledger, decision, keyed()) for _ in range(times)))
    print(json.dumps({"answers": [repr(answer) for answer in answers]}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], StreamName(sys.argv[2]), SessionId(UUID(sys.argv[3])), int(sys.argv[4])))
