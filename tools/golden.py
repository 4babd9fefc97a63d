"""The golden files: the stored bytes of every event type and version, and what has been recorded of its shape.

``tests/golden/<type>/v<N>.json`` are the very bytes as a ledger holds them; they are never edited.
``v<N>.current.json`` is what they read as today, and ``shape.json`` what has been recorded: the current version,
its fields, and the digest of each file of bytes. Of aggregates, ``tests/golden/states/<category>.json``.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from ledger.domain.event import Event
from ledger.store.codec import decode, encode
from tools.event_types import ROOT, AnyDecider
from tools.shapes import Shape, example_of, shape_of

GOLDEN: Final = ROOT / "tests" / "golden"
STATES: Final = "states"


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an event type: its version, its fields, and the digests of its golden files."""

    version: int
    fields: Shape
    golden: dict[str, str]


class RecordedState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an aggregate's state: the version of its rules and a fingerprint of its shape."""

    version: int
    fingerprint: str


class Golden:
    """A folder of golden files."""

    def __init__(self, folder: Path = GOLDEN) -> None:
        """Take the folder."""
        self.folder = folder

    def recorded(self, name: str) -> Recorded | None:
        """Read what is known of a type; ``None``: nothing."""
        path = self.folder / name / "shape.json"
        return msgspec.json.decode(path.read_bytes(), type=Recorded) if path.exists() else None

    def recorded_state(self, category: str) -> RecordedState | None:
        """Read what is known of an aggregate's state; ``None``: nothing."""
        path = self._state_path(category)
        return msgspec.json.decode(path.read_bytes(), type=RecordedState) if path.exists() else None

    def names(self) -> list[str]:
        """Name the types that have a folder."""
        return sorted(path.parent.name for path in self.folder.glob("*/shape.json"))

    def stored(self, name: str, version: int) -> bytes:
        """Read the bytes of a version, as they were stored."""
        return self.path(name, version).read_bytes()

    def current(self, name: str, version: int) -> bytes:
        """Read what the bytes of a version read as, as it has been recorded."""
        return self._current_path(name, version).read_bytes()

    def digests(self, name: str) -> dict[str, str]:
        """Compute the digest of each file of stored bytes."""
        files = sorted(self.folder.joinpath(name).glob("v*.json"))
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.name.count(".") == 1
        }

    def path(self, name: str, version: int) -> Path:
        """Say where the bytes of a version lie."""
        return self.folder / name / f"v{version}.json"

    def write_example(self, name: str, event: type[Event]) -> Path:
        """Write an example of the current version, if there is none."""
        path = self.path(name, event.schema_version)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            example = msgspec.json.decode(msgspec.json.encode(example_of(event)), type=event)
            path.write_bytes(encode(example))
        return path

    def write_current(self, name: str, event: type[Event], version: int) -> None:
        """Write down what the bytes of a version read as today."""
        read = decode((event,), name, version, self.stored(name, version))
        self._current_path(name, version).write_bytes(as_recorded(read))

    def write_shape(self, name: str, event: type[Event]) -> None:
        """Write down the version, the fields and the digests."""
        recorded = Recorded(version=event.schema_version, fields=shape_of(event), golden=self.digests(name))
        (self.folder / name / "shape.json").write_bytes(_pretty(recorded))

    def write_state(self, decider: AnyDecider) -> None:
        """Write down the version and the shape of an aggregate's state."""
        path = self._state_path(decider.category)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_pretty(state_of(decider)))

    def _current_path(self, name: str, version: int) -> Path:
        return self.folder / name / f"v{version}.current.json"

    def _state_path(self, category: str) -> Path:
        return self.folder / STATES / f"{category}.json"


def state_of(decider: AnyDecider) -> RecordedState:
    """Describe an aggregate's state as it is now."""
    shape = msgspec.json.encode(shape_of(decider.state_type), order="sorted")
    return RecordedState(version=decider.version, fingerprint=hashlib.sha256(shape).hexdigest())


def as_recorded(event: Event) -> bytes:
    """Write an event as the current forms are written."""
    return _pretty(event)


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
