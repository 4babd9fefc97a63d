"""How quickly a whole log is taken out and verified, and how much memory that takes."""

import asyncio
import sys
from typing import Final
from uuid import uuid4

import msgspec

from benchmarks.auditing import Done, Job
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Table, per_second
from benchmarks.scale import Scale
from benchmarks.server import Server
from benchmarks.subject import LostOrDoubled
from benchmarks.workload import Texts
from ledger.domain.ids import SessionId
from ledger.store.envelope import Provenance
from ledger.store.ledger import Ledger, session_stream
from ledger.store.streams import Stream, append, draft, new_command_id

IN_FLIGHT: Final = 64
EVENTS_A_STREAM: Final = 10
THOUSAND: Final = 1000
MB: Final = 1_000_000


async def measure(server: Server, scale: Scale, progress: Progress) -> Part:
    """Append a log whose streams hang together, as the service does; export and verify it in a process of its own."""
    async with server.ledger() as database:
        progress.say(f"auditing: appending {scale.rebuilt:,} events")
        async with await Ledger.open(database.service_url) as ledger:
            await _filled(ledger, scale)
        await server.checkpoint()
        progress.say(f"auditing: {scale.rebuilt:,} events")
        folder = server.folder / f"audit-{database.name}"
        folder.mkdir(mode=0o700)
        job = Job(service_url=database.service_url, owner_url=database.owner_url, folder=str(folder))
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.auditing"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await worker.communicate(msgspec.json.encode(job) + b"\n")
    if worker.returncode != 0:
        raise LostOrDoubled("the log was not verified")
    return _part(msgspec.json.decode(answer, type=Done))


async def _filled(ledger: Ledger, scale: Scale) -> None:
    texts = Texts(scale.payloads[0])
    numbers = iter(range(scale.rebuilt // EVENTS_A_STREAM))

    async def client() -> None:
        for number in numbers:
            stream = Stream(name=session_stream(SessionId(uuid4())), events=())
            by = Provenance(actor=str(uuid4()), command_id=new_command_id())
            events = [texts.event(number + more) for more in range(EVENTS_A_STREAM)]
            await append(ledger, draft(stream, events, by))

    async with asyncio.TaskGroup() as clients:
        for _ in range(IN_FLIGHT):
            clients.create_task(client())


def _part(done: Done) -> Part:
    phases = (
        ("exporting envelopes and payloads", done.exporting),
        ("hashing the entries and the tree", done.hashing),
        ("verifying everything, each stream's continuity and each payload", done.verifying),
    )
    hashed, verified = (done.events / seconds / THOUSAND for seconds in (done.hashing, done.verifying))
    return Part(
        name="auditing",
        tables=(
            Table(
                title=f"A bundle of {done.events:,} events",
                columns=("", "seconds", "events a second"),
                rows=tuple(
                    (what, f"{seconds:.1f}", per_second(done.events / seconds)) for what, seconds in phases
                ),
            ),
        ),
        figures={
            "auditing.export_seconds": done.exporting,
            "auditing.export_peak_bytes": done.peak_bytes,
            "auditing.hash_seconds": done.hashing,
            "auditing.verify_seconds": done.verifying,
        },
        bars=(
            Bar(
                what="entries hashed a second", reached=hashed, direction="at least", bar=100, unit="thousand"
            ),
            Bar(
                what="events verified a second",
                reached=verified,
                direction="at least",
                bar=40,
                unit="thousand",
            ),
            Bar(
                what=f"memory of exporting {done.events:,} events",
                reached=done.peak_bytes / MB,
                direction="at most",
                bar=150,
                unit="MB",
            ),
        ),
    )
