"""Files on their way in: counted and hashed as they come, put aside on disk, never all in memory.

Theory. A client may be slow, so that nothing that others need is held while its file arrives: no connection to the
database, no turn on a stream. The file waits in an unnamed temporary one, which the operating system removes whatever
happens to this process, and is written down in one go when it is whole.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import Final

import msgspec
from litestar.exceptions import InternalServerException

from ledger.api.evidence_rules import EmptyFile, must_look_like
from ledger.api.problems import ClientLeft, EvidenceTooLarge, RequestTimeout
from ledger.api.types import HttpRequest
from ledger.domain.errors import Overloaded, Unavailable
from ledger.domain.ids import Digest, PersonId
from ledger.store.evidence import CHUNK_BYTES

MOST_AT_ONCE: Final = 16
"""Files that one process takes in at the same time."""
MOST_OF_ONE: Final = 4
"""Of these, files of one person: nobody who is slow keeps all others waiting."""
MOST_BYTES: Final = 10 * 1024 * 1024
MOST_SECONDS: Final = 55.0
"""Less than the 60 that a connection has for any body."""
LOOKED_AT: Final = 8 * 1024
"""Bytes of a file by which its type is checked."""
IN_MEMORY: Final = CHUNK_BYTES


class TooManyUploads(Overloaded):
    """So many files arrive already."""

    code = "too-many-uploads"


class TooManyOwnUploads(Overloaded):
    """So many of your own files arrive already."""

    code = "too-many-own-uploads"
    advice = "Send one after the other."


class NoRoomForUploads(Unavailable):
    """The file cannot be put aside: there is no room on the service's disk."""

    code = "no-room-for-uploads"


class Upload(msgspec.Struct, frozen=True):
    """A file that has arrived whole."""

    file: SpooledTemporaryFile[bytes]
    size: int
    sha256: Digest

    def chunks(self) -> Iterator[bytes]:
        """Give it piece by piece, from its beginning every time."""
        self.file.seek(0)
        while chunk := self.file.read(CHUNK_BYTES):
            yield chunk


class Uploads:
    """What one process takes in."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, seconds: float = MOST_SECONDS) -> None:
        """Let a file have at most ``most_bytes``, and so many seconds to arrive."""
        self._most_bytes, self._seconds = most_bytes, seconds
        self._arriving: Counter[PersonId] = Counter()

    @asynccontextmanager
    async def receive(self, request: HttpRequest, kind: str, by: PersonId) -> AsyncIterator[Upload]:
        """Take in the body of somebody's request as a file of media type ``kind``; it is gone after the block.

        Raises:
            EvidenceTooLarge: it is, or says so; nothing more is read then.
            EmptyFile, TypeDiffers: it is not what it says.
            RequestTimeout, ClientLeft: it did not arrive.
            TooManyUploads, TooManyOwnUploads, NoRoomForUploads: not now.
        """
        if (request.content_length or 0) > self._most_bytes:
            raise EvidenceTooLarge(most=self._most_bytes)
        if self._arriving.total() >= MOST_AT_ONCE:
            raise TooManyUploads
        if self._arriving[by] >= MOST_OF_ONE:
            raise TooManyOwnUploads
        self._arriving[by] += 1
        try:
            with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
                yield await self._received(request, kind, file)
        finally:
            self._arriving -= Counter([by])  # which forgets whom it counts no more

    async def _received(self, request: HttpRequest, kind: str, file: SpooledTemporaryFile[bytes]) -> Upload:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._spooled(request, kind, file)
        except TimeoutError as late:
            raise RequestTimeout from late
        except InternalServerException as gone:  # the framework's word for a client that hung up
            raise ClientLeft from gone
        except OSError as full:
            raise NoRoomForUploads from full

    async def _spooled(self, request: HttpRequest, kind: str, file: SpooledTemporaryFile[bytes]) -> Upload:
        digest, size = hashlib.sha256(), 0
        beginning = bytearray()
        async for piece in request.stream():
            size += len(piece)
            if size > self._most_bytes:
                raise EvidenceTooLarge(most=self._most_bytes)
            beginning += piece[: LOOKED_AT - len(beginning)]
            digest.update(piece)
            file.write(piece)
        if not size:
            raise EmptyFile
        must_look_like(kind, bytes(beginning))
        return Upload(file, size, Digest(digest.hexdigest()))
