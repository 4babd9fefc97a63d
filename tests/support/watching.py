"""Witnesses in this process: real ones behind a real HTTP server, that can be away, slow or dishonest."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from ledger.sealing.asking import Outbound
from ledger.sealing.notes import Verifier
from ledger.sealing.witnesses import Watch, Witness
from ledger.sealing.witnessing import Rounds
from ledger.store.ledger import Ledger
from ledger.store.signals import Bell
from ledger.verifier.notes import parse_key
from ledger.witness import witness as serving
from ledger.witness.cosigner import Cosigner
from ledger.witness.memory import Memory
from tests.support.receiver import Received, Receiver, answering, receiving
from tests.support.sealing import utc_now


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A witness and the server before it; ``receiver.answer`` may be changed to anything."""

    name: str
    cosigner: Cosigner
    receiver: Receiver
    witness: serving.Witness

    def size(self) -> int:
        return self.witness.standings()[0].size

    def configured(self) -> Witness:
        return Witness(
            name=self.name,
            key=Verifier.parse(self.cosigner.vkey),
            url=f"http://127.0.0.1:{self.receiver.port}",
        )


@asynccontextmanager
async def partners_of(
    folder: Path, vkey: str, *names: str, clock: Callable[[], float] | None = None
) -> AsyncIterator[list[Partner]]:
    """Witnesses of the log with this key."""
    now = clock or (lambda: utc_now().timestamp())
    with ExitStack() as memories:
        found = []
        for name in names:
            memory = memories.enter_context(Memory(folder / name))
            cosigner = Cosigner.made(f"{name}.example/witness")
            witness = serving.Witness(cosigner, memory, [parse_key(vkey)], clock=now)
            found.append((name, cosigner, witness))
        async with _served(found) as partners:
            yield partners


@asynccontextmanager
async def _served(
    found: Sequence[tuple[str, Cosigner, serving.Witness]],
) -> AsyncIterator[list[Partner]]:
    if not found:
        yield []
        return
    (name, cosigner, witness), *rest = found
    async with receiving() as receiver, _served(rest) as others:
        receiver.answer = lambda received: answer_of(witness, received)
        yield [Partner(name=name, cosigner=cosigner, receiver=receiver, witness=witness), *others]


def answer_of(witness: serving.Witness, received: Received) -> bytes:
    """What a real witness answers."""
    answer = witness.add_checkpoint(received.body)
    return answering(answer.status, f"content-type: {answer.media_type}", body=answer.body.encode())


def watch_of(*partners: Partner, needed: int = 1) -> Watch:
    return Watch(
        witnesses=tuple(partner.configured() for partner in partners),
        quorum_met=lambda names: len(names) >= needed,
    )


def rounds_of(ledger: Ledger, watch: Watch, *, interval: float = 0.05) -> Rounds:
    return Rounds(ledger, watch, Bell(), utc_now, interval=interval)


async def hold_round(rounds: Rounds) -> None:
    """One round, to its end."""
    async with Outbound(attempt_seconds=2.0) as outbound:
        await rounds.round(outbound)
        await rounds.settle()
