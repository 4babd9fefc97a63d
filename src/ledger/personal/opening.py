"""Sealed text is opened where somebody is told it, and nowhere else: in the bytes of an answer, in a line, in a name.

Theory. Everything inside the service works on tokens. Whoever writes to the outside asks for the keys of the tokens
in it, all at once, and puts what they open in their place. What has no token costs one look. A key that is gone reads
``erased``; one that no secret key of this service unwraps, or a token that is not as it was, reads ``unreadable``.

In JSON a token stands in a string, which may itself be JSON in a string, and so on: the backslashes before the quotes
around the token tell how deep. A text is escaped as often as that; a JSON value takes the place of the quotes too.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
import structlog

from ledger.domain.ids import SubjectKeyId
from ledger.identity.keys import Keyring
from ledger.identity.people import ERASED
from ledger.personal.keys import keys_named
from ledger.personal.tokens import MARK, TOKEN, Form, SubjectKey, Token, keys_in
from ledger.store.ledger import Ledger

log = structlog.get_logger()

UNREADABLE: Final = "unreadable"
MARK_BYTES: Final = MARK.encode()
MOST_AT_ONCE: Final = 200
"""Tokens that are opened between two other things that a process does: some milliseconds."""


class Keeper(Protocol):
    """Whoever knows the ledger, and what its subjects' keys are wrapped under: the rooms that tell somebody something."""

    @property
    def ledger(self) -> Ledger:
        """Name the ledger."""

    @property
    def subject_keys(self) -> Keyring:
        """Give the keys that unwrap."""


class Opener(msgspec.Struct, frozen=True):
    """The keys that were there when they were asked for."""

    keys: Mapping[SubjectKeyId, SubjectKey | None]

    def can_open(self, text: str) -> bool:
        """Say whether every token in a text can be read."""
        return all(self.keys.get(key_id) is not None for key_id in keys_in(text))

    def text(self, text: str) -> str:
        """Open the tokens in a text that is no JSON; a JSON value stands in it as JSON."""
        return TOKEN.sub(self._in_text, text)

    def json(self, text: str) -> str:
        """Open the tokens in JSON, which stays JSON."""
        parts, done = list[str](), 0
        for found in TOKEN.finditer(text):
            token, fence = Token.of(found), _fence(text, found)
            opened = self.opened(token)
            if token.form is Form.JSON and fence.is_whole:
                start, end, depth = found.start() - fence.width, found.end() + fence.width, fence.depth
            else:
                start, end, depth = found.start(), found.end(), fence.depth + 1
            parts += text[done:start], _escaped(opened, depth)
            done = end
        return "".join((*parts, text[done:]))

    def opened(self, token: Token) -> str:
        """Give what a token sealed, as it was, or the word that stands for it: as JSON where it was JSON."""
        key = self.keys.get(token.key_id)
        text = None if key is None else token.opened(key)
        if text is not None:
            return text
        word = UNREADABLE if token.key_id in self.keys else ERASED
        if key is not None:
            log.error("sealed_text.unreadable", key_id=token.key_id, event_id=token.event, field=token.field)
        return _quoted(word) if token.form is Form.JSON else word

    def _in_text(self, found: re.Match[str]) -> str:
        return self.opened(Token.of(found))


class _Fence(msgspec.Struct, frozen=True):
    """What a token stands between in JSON: a quote behind ``width - 1`` backslashes; ``is_whole``: on both sides."""

    width: int
    is_whole: bool

    @property
    def depth(self) -> int:
        """Say in how many strings the token's own string stands: each doubles the backslashes, and adds one."""
        return max(self.width, 1).bit_length() - 1


def _fence(text: str, found: re.Match[str]) -> _Fence:
    start, end = found.span()
    before = after = 0
    if start and text[start - 1] == '"':
        before = 1 + _backslashes(text, start - 2, step=-1)
    backslashes = _backslashes(text, end, step=1)
    if text.startswith('"', end + backslashes):
        after = 1 + backslashes
    return _Fence(before or after, is_whole=bool(before) and before == after)


def _backslashes(text: str, at: int, *, step: int) -> int:
    """Count the backslashes in a row, from a place on or backwards from it."""
    count = 0
    while 0 <= at < len(text) and text[at] == "\\":
        count += 1
        at += step
    return count


async def opener(keeper: Keeper, text: str) -> Opener:
    """Ask for the keys of all tokens in a text, in one query; none where there is none.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    return Opener(await keys_named(keeper.ledger, keeper.subject_keys, keys_in(text)))


async def opened_json(keeper: Keeper, body: bytes) -> bytes:
    """Open the tokens in outgoing JSON, or in lines of it.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    if MARK_BYTES not in body:
        return body
    text = body.decode()
    found = await opener(keeper, text)
    if text.count(MARK) > MOST_AT_ONCE:  # nobody else waits for a page of long lists
        return (await asyncio.to_thread(found.json, text)).encode()
    return found.json(text).encode()


async def opened_text(keeper: Keeper, text: str) -> str:
    """Open the tokens in a text that is no JSON, such as a file's name.

    Raises:
        DatabaseUnreachable: the connection is lost, or none is free.
    """
    if MARK not in text:
        return text
    return (await opener(keeper, text)).text(text)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _escaped(text: str, times: int) -> str:
    """Write a text as it stands in a JSON string that is in a JSON string …, so many deep."""
    for _ in range(times):
        text = _quoted(text)[1:-1]
    return text
