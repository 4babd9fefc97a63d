"""A witness of one log, by a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.verifier.notes import parse_key
from ledger.witness.cosigner import Cosigner
from ledger.witness.memory import Memory
from ledger.witness.witness import Witness
from tests.support.small_log import SmallLog

NAME = "witness.example/w1"
SECONDS = 1_790_000_000


@pytest.fixture
def log() -> SmallLog:
    return SmallLog()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "state") as held:
        yield held


@pytest.fixture
def witness(memory: Memory, log: SmallLog) -> Witness:
    return Witness(Cosigner(NAME, bytes(32)), memory, [parse_key(log.vkey)], clock=lambda: SECONDS)
