"""A witness that is killed while it writes down a checkpoint: at the Nth time that it asks the disk, or never.

``python -m tests.support.dying_witness STATE VKEY N < body`` prints the answer, if it comes to that.
"""

import os
import signal
import sys
from pathlib import Path

from ledger.verifier.notes import parse_key
from ledger.witness.cosigner import Cosigner
from ledger.witness.memory import Memory
from ledger.witness.witness import Witness

flush, replace = os.fsync, Path.replace
asked = 0


def _die_at(number: int) -> None:
    global asked  # noqa: PLW0603 - one process, one count
    asked += 1
    if asked == number:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    state, vkey, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def dying_flush(opened: int) -> None:
        _die_at(number)
        flush(opened)
        _die_at(number)

    def dying_replace(path: Path, target: Path) -> Path:
        _die_at(number)
        return replace(path, target)

    with Memory(state) as memory:
        witness = Witness(
            Cosigner("witness.example/w1", bytes(32)), memory, [parse_key(vkey)], clock=lambda: 1
        )
        os.fsync, Path.replace = dying_flush, dying_replace
        answer = witness.add_checkpoint(sys.stdin.buffer.read())
    print(answer.status, answer.body, sep="\n", end="")


if __name__ == "__main__":
    main()
