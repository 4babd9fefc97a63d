"""What is wrong with a payload or a schema, place by place."""

from collections.abc import Iterable
from typing import ClassVar, Final

import msgspec

from ledger.domain.errors import Corrupt, Invalid

MOST_FAULTS: Final = 50
LONGEST_MESSAGE: Final = 300
LONGEST_POINTER: Final = 500


class Fault(msgspec.Struct, frozen=True):
    """One fault, and the place of it as a JSON pointer (RFC 6901); the empty pointer is the whole document."""

    pointer: str
    message: str


class Faulty(Invalid):
    """Something that was sent is not as it must be, in places that are named."""

    code = "faulty"
    place: ClassVar[str] = ""
    """Where the document stands in what was sent."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the first 50 faults."""
        super().__init__()
        self.faults = tuple(_cut(fault) for fault in faults)[:MOST_FAULTS]


class InvalidPayload(Faulty):
    """The payload is not one of its kind."""

    code = "invalid-payload"
    place = "payload"
    advice = "Mend what 'errors' names and send it again; nothing was written."


class InvalidSchema(Faulty):
    """This is no JSON Schema that a kind can have."""

    code = "invalid-schema"
    place = "schema"
    advice = "Mend what 'errors' names and send it again; docs/policies.md says what a schema may say."


class UnreadableSchema(Corrupt):
    """A registered schema is none to this release."""

    code = "unreadable-schema"


def pointer_to(path: Iterable[str | int]) -> str:
    """Write a path as a JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _cut(fault: Fault) -> Fault:
    """Keep what was sent from being told at length."""
    return Fault(fault.pointer[:LONGEST_POINTER], fault.message[:LONGEST_MESSAGE])
