"""How far the log is witnessed and stamped, in lines for people."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from ledger.api.witness_wire import StampedTold, WitnessedTold, WitnessTold
from ledger.cli.refusals import printable

SEE: Final = "see docs/operations/witnesses.md before you restart, repair or restore anything"


def lines_of_witnesses(found: WitnessedTold | None) -> Iterator[str]:
    """Say it of the quorum, then of each witness; nothing where none is configured."""
    if found is None:
        return
    late = f"; checkpoints wait since {_moment(found.waiting_since)}: LATE" if found.is_late else ""
    yield f"Quorum         {_reached(found.quorum_size or 0, found.quorum_at)}{late}"
    for one in found.witnesses:
        yield f"Witness        {printable(one.name)}: {_reached(one.size, one.cosigned_at)}{_trouble(one)}"
        if one.fork is not None:
            yield (
                f"FORK           {printable(one.name)} has cosigned {one.fork.size} events that are not the beginning of"
                f" this ledger, or not all in it; noticed {_moment(one.fork.since)}"
            )
            yield f"               {SEE}"


def lines_of_stamps(found: Sequence[StampedTold]) -> Iterator[str]:
    """Say what was stamped last."""
    for one in found:
        yield f"Time stamp     {_reached(one.size, one.stamped_at)}, by {printable(one.authority)}"


def _trouble(one: WitnessTold) -> str:
    if not one.is_asked:
        return "; it has no address, so it is not asked"
    if one.problem is None or one.fork is not None:
        return ""
    return f"; {printable(one.problem)}, {one.failures} times since"


def _reached(size: int, moment: datetime | None) -> str:
    return "nothing yet" if moment is None else f"{size} events at {_moment(moment)}"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
