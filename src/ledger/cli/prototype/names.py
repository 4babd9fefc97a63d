"""Persons in the place of names: nothing that the import writes into the log says who somebody is."""

import asyncio
import re
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import asyncpg

from ledger.domain.ids import PersonId
from ledger.identity import people
from ledger.identity.identity import Identity
from ledger.identity.people import Person, Record, folded

USER_FIELDS: Final = frozenset({"username", "user", "user_name", "decided_by", "by", "actor"})
OTHER_FIELDS: Final = frozenset({"email", "e_mail", "mail", "full_name", "name"})
WORDS_ALIKE: Final = frozenset({"admin", "analyst", "viewer", "system", "user", "service", "root", "test"})
"""User names that are words of their own: in running text they stay, in fields that hold names they do not."""
WORD: Final = re.compile(r"[^\s,;:!?\"'()\[\]{}<>=]+")
LEFT_OUT: Final = "left out"


class Names:
    """Everybody whom a dump names, by user name, address and full name."""

    def __init__(self, identity: Identity, *, dry_run: bool) -> None:
        """Begin with nobody; with ``dry_run`` nobody is written down."""
        self._identity, self._dry_run = identity, dry_run
        self._persons: dict[str, PersonId] = {}
        self._known: dict[str, PersonId] = {}
        self._longest = 1
        self._looking_up = asyncio.Lock()
        self.by_name_only = 0

    def learn(self, record: Record, person: PersonId) -> None:
        """Take somebody in, by all their names."""
        self._persons[folded(record.username)] = person
        for text in (record.username, record.email, record.full_name):
            if len(text.strip()) > 2:  # noqa: PLR2004 - shorter ones are found in every sentence
                self._known[_plain(text)] = person
                self._longest = max(self._longest, len(WORD.findall(text)))

    async def person(self, username: str) -> PersonId:
        """Say who has a user name; a name that nobody has is written down, without an account."""
        async with self._looking_up:
            known = self._persons.get(folded(username))
            if known is not None:
                return known
            record = Record(username=username, email="", full_name="")
            found = await self._find(username) or await self._write_down(record)
            self.learn(record, found)
            return found

    async def _find(self, username: str) -> PersonId | None:
        ledger = self._identity.ledger
        found = await people.find(ledger.pool, ledger.ledger_id, username)
        return None if found is None else found.person

    async def _write_down(self, record: Record) -> PersonId:
        self.by_name_only += 1
        person = newcomer(self._identity, record)
        if self._dry_run:
            return person.person
        ledger = self._identity.ledger
        try:
            async with ledger.pool.acquire() as conn:
                await people.insert(conn, ledger.ledger_id, person)
        except asyncpg.UniqueViolationError:  # another import has just done so
            return await self._find(record.username) or person.person
        return person.person

    async def meet(self, details: object) -> None:
        """Learn everybody whom a JSON value names in a field that holds user names."""
        for field, text in _named_texts(details):
            if field in USER_FIELDS and 0 < len(text) <= 200:  # noqa: PLR2004 - as in users
                await self.person(text)

    def without_names(self, details: object, field: str = "") -> object:
        """Put person ids in the place of names, at every depth of a JSON value."""
        match details:
            case dict():
                return {
                    self.said(str(key)): self.without_names(inner, str(key).lower())
                    for key, inner in details.items()
                }
            case list():
                return [self.without_names(inner, field) for inner in details]
            case str():
                return self._told(details, field)
            case _:
                return details

    def _told(self, text: str, field: str) -> str:
        if field in USER_FIELDS | OTHER_FIELDS:
            known = self._persons.get(folded(text)) or self._known.get(_plain(text))
            return LEFT_OUT if known is None else str(known)
        return self.said(text)

    def said(self, text: str) -> str:
        """Put person ids in the place of names in running text."""
        words = list(WORD.finditer(text))
        told, at, number = "", 0, 0
        while number < len(words):
            count, person = self._somebody(text, words, number)
            if person is not None:
                told += text[at : words[number].start()] + str(person)
                at = words[number + count - 1].end()
            number += count
        return told + text[at:]

    def _somebody(self, text: str, words: list[re.Match[str]], first: int) -> tuple[int, PersonId | None]:
        """Find the longest name that begins at a word; how many words it has, and whose it is."""
        for count in range(min(self._longest, len(words) - first), 0, -1):
            name = _plain(text[words[first].start() : words[first + count - 1].end()])
            if name in self._known and name not in WORDS_ALIKE:
                return count, self._known[name]
        return 1, None


def newcomer(identity: Identity, record: Record) -> Person:
    """Make a row for somebody whom nobody knows yet."""
    return Person(
        person=PersonId(uuid4()), record=record, salt=people.new_salt(), created_at=identity.clock()
    )


def _plain(text: str) -> str:
    return folded(" ".join(text.split()).strip(".-"))


def _named_texts(details: object, field: str = "") -> Iterator[tuple[str, str]]:
    match details:
        case dict():
            for key, inner in details.items():
                yield from _named_texts(inner, str(key).lower())
        case list():
            for inner in details:
                yield from _named_texts(inner, field)
        case str():
            yield field, details
        case _:
            return
