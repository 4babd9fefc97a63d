"""Calls that last: what they need to know of their connection, of the house they are in and of their own standing."""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Final

from ledger.delivery.news import News
from ledger.domain.errors import Overloaded
from ledger.identity.identity import Identity
from ledger.identity.sessions import Principal, still_in

LINE: Final = "ledger_line"
HOUSE: Final = "ledger_house"
HEAD: Final = "ledger_head"
BODY: Final = "ledger_body"

SMALL_BODY: Final = 16 * 1024
"""Bytes of a body that is let in anyway: as many as are inside may have one."""
MOST_BODY_BYTES: Final = 32 * 1024 * 1024


class TooManyBodies(Overloaded):
    """So many large bodies are under way already."""

    code = "too-many-bodies"
    advice = "Send it again a little later, or less at once."


class Line:
    """The connection that a call came by; whoever serves connections makes one for each."""

    def __init__(self, hang_up: Callable[[], None]) -> None:
        """``hang_up`` ends the connection at once, whatever has not been read yet."""
        self.hang_up = hang_up
        self._is_lost = False
        self._callbacks: list[Callable[[], None]] = []

    @contextmanager
    def watched(self, when_lost: Callable[[], None]) -> Iterator[None]:
        """Have ``when_lost`` called should the client leave during the block, or have left before."""
        if self._is_lost:
            when_lost()
        self._callbacks.append(when_lost)
        try:
            yield
        finally:
            self._callbacks.remove(when_lost)

    def lost(self) -> None:
        """Say that the client has left."""
        self._is_lost = True
        for when_lost in tuple(self._callbacks):
            when_lost()


class House:
    """How many requests are inside, of those there may be at once, and how much of bodies they have in memory."""

    def __init__(self, most: int, most_body_bytes: int = MOST_BODY_BYTES) -> None:
        """Let in at most so many, whose larger bodies have at most so many bytes together; one of any size always."""
        self._most, self._most_body_bytes = most, most_body_bytes
        self._inside = self._body_bytes = 0

    def is_full(self) -> bool:
        """Say whether the next one has to wait outside."""
        return self._inside >= self._most

    @contextmanager
    def inside(self, state: MutableMapping[str, object]) -> Iterator[None]:
        """Count a request, and its body, for the time of the block; ``state`` is that of its scope."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            held = state.pop(BODY, 0)
            self._body_bytes -= held if isinstance(held, int) else 0

    def make_room(self, state: MutableMapping[str, object], size: int) -> None:
        """Count a body of ``size`` bytes, which is about to be read, for as long as its request is inside.

        Raises:
            TooManyBodies: there are too many already.
        """
        if size <= SMALL_BODY:
            return
        if self._body_bytes and self._body_bytes + size > self._most_body_bytes:
            raise TooManyBodies
        self._body_bytes += size
        state[BODY] = size

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do not count a request that is inside while it only waits; who does this has a bound of their own."""
        self._inside -= 1
        try:
            yield
        finally:
            self._inside += 1


class Stay:
    """A caller's leave to stay, for as long as their session lives."""

    def __init__(self, identity: Identity, news: News, principal: Principal) -> None:
        """Begin with what the caller was when the call came in."""
        self.principal = principal
        self._identity, self._news = identity, news
        self._alarms = news.alarms

    async def check(self, *, anyway: bool) -> None:
        """Look at the session again: ``anyway``, or where somebody has lost one since the last look.

        Raises:
            Unauthenticated: it is over.
            Unavailable: the database has to be asked, and cannot be reached.
        """
        alarms = self._news.alarms
        if anyway or alarms != self._alarms:
            self.principal = await still_in(self._identity, self.principal)
            self._alarms = alarms


def is_head(state: MutableMapping[str, object]) -> bool:
    """Say whether only the head of an answer is wanted."""
    return state.get(HEAD) is True


def line_of(state: MutableMapping[str, object]) -> Line:
    """Find the line in the state of a scope; where nobody laid one, nobody can leave."""
    found = state.get(LINE)
    return found if isinstance(found, Line) else Line(hang_up=lambda: None)


def house_of(state: MutableMapping[str, object]) -> House:
    """Find the house in the state of a scope."""
    found = state.get(HOUSE)
    return found if isinstance(found, House) else House(0)
