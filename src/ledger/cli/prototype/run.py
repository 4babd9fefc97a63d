"""The import itself: people first, then what they decided, then what was noted about it; each record once."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import Enum
from itertools import islice
from typing import Final, TypeVar

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger.cli.prototype.file import Answer, AuditEntry, Bad, Decision, Dump, Good, NotImportable, User
from ledger.cli.prototype.names import Names, newcomer
from ledger.cli.prototype.payloads import Draft, Drafting, said
from ledger.cli.prototype.report import Count, Ledgered, Report
from ledger.command_handling.facts import state_of
from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.state import NotSubmitted, Resolved
from ledger.domain.errors import VersionConflict
from ledger.domain.ids import DecisionId
from ledger.identity import credentials, people
from ledger.identity.identity import Identity
from ledger.identity.people import Person, Record, folded
from ledger.store.appends import Append, Duplicate
from ledger.store.envelope import open_envelope
from ledger.store.streams import Stream, append, append_in, read_command, read_stream

R = TypeVar("R", bound=msgspec.Struct)

AT_ONCE: Final = 128
NAMED_BEFORE: Final = "the dump has another one of this name before it"
ALREADY_MADE: Final = "the decision has been made already"


class Outcome(Enum):
    """What became of a record that is good."""

    IMPORTED = "imported"
    ALREADY_THERE = "already there"
    WAS_HERE = "was here"


class Import:
    """One run over one dump; it may be repeated, and goes on where another one was cut off."""

    def __init__(
        self, identity: Identity, drafting: Drafting, report: Report, *, moved: Callable[[], None]
    ) -> None:
        """Take what it works with; ``moved`` is called for every record."""
        self._identity, self._ledger, self._drafting = identity, identity.ledger, drafting
        self._report, self._moved = report, moved
        self._names = Names(identity, dry_run=report.dry_run)
        self._ledgered = Ledgered()
        self._nobodys_hash = ""
        self._would_be_made: set[str] = set()
        self._would_be_said: set[Answer] = set()

    async def run(self, dump: Dump) -> None:
        """Import everything, then prove it."""
        for stray in dump.strays:
            self._report.strays += 1
            self._report.note(stray)
        self._nobodys_hash = await self._identity.passwords.hash(people.new_salt().hex())
        for user in self._once("users", self._good("users", dump.users), lambda user: folded(user.username)):
            await self._counted("users", user.place, self._user(user))
        decisions = self._good("decisions", dump.decisions)
        await self._decide(
            self._once("decisions", decisions, lambda decision: decision.analysis_id),
            self._good("responses", dump.responses),
        )
        await self._note(self._good("audit_log", dump.audit_log))
        self._report.by_name_only = self._names.by_name_only
        if not self._report.dry_run:
            await self._ledgered.prove(self._ledger, self._report)

    def _good(self, kind: str, records: Sequence[Good[R] | Bad]) -> list[Good[R]]:
        self._report.kinds[kind].in_dump = len(records)
        for record in records:
            if isinstance(record, Bad):
                self._report.refuse(kind, record)
        return [record for record in records if isinstance(record, Good)]

    def _once(self, kind: str, records: list[Good[R]], name_of: Callable[[R], str]) -> list[Good[R]]:
        """Refuse all but the first of those that have one name."""
        first: dict[str, Good[R]] = {}
        for good in records:
            if first.setdefault(name_of(good.record), good) is not good:
                self._report.refuse(kind, Bad(place=good.place, reason=NAMED_BEFORE))
        return list(first.values())

    async def _counted(self, kind: str, place: str, work: Coroutine[None, None, Outcome]) -> None:
        count: Count = self._report.kinds[kind]
        try:
            match await work:
                case Outcome.IMPORTED:
                    count.imported += 1
                case Outcome.ALREADY_THERE:
                    count.already_there += 1
                case Outcome.WAS_HERE:
                    count.was_here += 1
        except (NotImportable, VersionConflict) as reason:
            self._report.refuse(kind, Bad(place=place, reason=str(reason)))
        self._moved()

    async def _user(self, good: Good[User]) -> Outcome:
        user = good.record
        record = Record(username=user.username, email=user.email, full_name=user.full_name)
        known = await people.find(self._ledger.pool, self._ledger.ledger_id, user.username)
        person = known or newcomer(self._identity, record)
        commitment = people.commitment(person.salt, record)
        draft = self._drafting.user(good.place, user, person.person, commitment)
        self._names.learn(record, person.person)
        if known is not None and await self._is_there(draft):
            self._ledgered.add(draft)
            return Outcome.ALREADY_THERE
        if (await read_stream(self._ledger, draft.stream)).version():
            return Outcome.WAS_HERE
        if not self._report.dry_run:
            await self._let_in(draft, replace(person, record=record), is_new=known is None)
        self._ledgered.add(draft)
        return Outcome.IMPORTED

    async def _let_in(self, draft: Draft, person: Person, *, is_new: bool) -> None:
        """Write a person, a credential that nobody has, and the account: all or nothing."""
        ledger = self._ledger
        write = people.insert if is_new else people.complete
        try:
            async with ledger.pool.acquire() as conn, conn.transaction():
                await write(conn, ledger.ledger_id, person)
                await credentials.insert(
                    conn, ledger.ledger_id, person.person, self._nobodys_hash, person.created_at
                )
                await append_in(conn, ledger.ledger_id, _after(Stream(name=draft.stream, events=()), draft))
        except asyncpg.UniqueViolationError as taken:
            raise NotImportable("another import is at work on this user: run it again") from taken

    async def _decide(self, decisions: list[Good[Decision]], answers: list[Good[Answer]]) -> None:
        """Import each decision with its answers; the earliest first, so that the queue keeps its order."""
        in_order = sorted(decisions, key=lambda good: self._drafting.age(good.record))
        await _side_by_side(self._counted("decisions", good.place, self._decision(good)) for good in in_order)
        answered: defaultdict[str, list[Good[Answer]]] = defaultdict(list)
        for answer in answers:
            answered[answer.record.decision_id].append(answer)
        submitted = {good.record.analysis_id: good for good in decisions}
        await _side_by_side(
            self._answers(mine, submitted.get(decision_id)) for decision_id, mine in answered.items()
        )

    async def _decision(self, good: Good[Decision]) -> Outcome:
        draft = self._drafting.decision(good.place, good.record)
        if await self._is_there(draft):
            self._ledgered.add(draft)
            return Outcome.ALREADY_THERE
        stream = await read_stream(self._ledger, draft.stream)
        if stream.version():
            raise NotImportable("another decision of this id is in the ledger")
        return await self._land(stream, draft)

    async def _answers(self, answers: list[Good[Answer]], submitted: Good[Decision] | None) -> None:
        """Import the answers to one decision, one after the other, in the order of the dump."""
        for answer in answers:
            await self._counted("responses", answer.place, self._answer(answer, submitted))

    async def _answer(self, good: Good[Answer], submitted: Good[Decision] | None) -> Outcome:
        by = await self._names.person(good.record.decided_by)
        answered = self._ledger.decision_stream(DecisionId(good.record.decision_id))
        stream = await read_stream(self._ledger, answered)
        state = state_of(DECISION, stream)
        if isinstance(state, NotSubmitted):
            if self._report.dry_run and submitted is not None:
                return self._would_answer(good.record)
            raise NotImportable("it answers no decision that is in the ledger")
        draft = self._drafting.answer(
            good.place, good.record, by, digest=state.case.subject_digest, level=state.case.level
        )
        if await self._is_there(draft):
            self._ledgered.add(draft)
            return Outcome.ALREADY_THERE
        if isinstance(state, Resolved):
            raise NotImportable(ALREADY_MADE)
        return await self._land(stream, draft)

    def _would_answer(self, answer: Answer) -> Outcome:
        """Look whether an answer to a decision that is not in the ledger yet could be imported."""
        self._drafting.check_time(answer)
        if answer in self._would_be_said:
            return Outcome.ALREADY_THERE
        if answer.decision_id in self._would_be_made:
            raise NotImportable(ALREADY_MADE)
        if answer.status != "escalated":
            self._would_be_made.add(answer.decision_id)
        self._would_be_said.add(answer)
        return Outcome.IMPORTED

    async def _note(self, entries: list[Good[AuditEntry]]) -> None:
        """Import the audit log; of entries that are alike in every word, each counts."""
        seen: Counter[bytes] = Counter()

        async def prepared(good: Good[AuditEntry]) -> Coroutine[None, None, None]:
            told = await self._without_names(good.record)
            seen[said(told)] += 1
            work = self._entry(good.place, told, seen[said(told)])
            return self._counted("audit_log", good.place, work)

        rest = iter(entries)
        while some := list(islice(rest, AT_ONCE)):
            await asyncio.gather(*[await prepared(good) for good in some])

    async def _without_names(self, entry: AuditEntry) -> dict[str, object]:
        details: object = msgspec.json.decode(entry.details)
        await self._names.meet(details)
        person = None if entry.user is None else await self._names.person(entry.user)
        return {
            "timestamp": entry.timestamp,
            "event": self._names.said(entry.event),
            "person": None if person is None else str(person),
            "details": msgspec.json.encode(self._names.without_names(details)).decode(),
        }

    async def _entry(self, place: str, told: dict[str, object], occurrence: int) -> Outcome:
        draft = self._drafting.audit_entry(place, told, occurrence)
        if await self._is_there(draft):
            self._ledgered.add(draft)
            return Outcome.ALREADY_THERE
        return await self._land(Stream(name=draft.stream, events=()), draft)

    async def _is_there(self, draft: Draft) -> bool:
        """Tell whether a record is in the ledger.

        Raises:
            NotImportable: it is, and says something else.
        """
        stored = await read_command(self._ledger, draft.first_event())
        if stored and open_envelope(stored[0].envelope or b"").request != draft.provenance.request:
            raise NotImportable("it was imported before, and said something else then")
        return bool(stored)

    async def _land(self, stream: Stream, draft: Draft) -> Outcome:
        landed = None if self._report.dry_run else await append(self._ledger, _after(stream, draft))
        outcome = Outcome.IMPORTED
        if isinstance(landed, Duplicate):  # it came twice in one dump, or from another import
            await self._is_there(draft)
            outcome = Outcome.ALREADY_THERE
        self._ledgered.add(draft)
        return outcome


def _after(stream: Stream, draft: Draft) -> Append:
    return Append(
        stream=stream.name,
        expected=stream.version(),
        prev=stream.last_leaf(),
        events=draft.events,
        provenance=draft.provenance,
    )


async def _side_by_side(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Do what is independent of each other, up to 128 at a time."""
    rest = iter(works)
    while some := list(islice(rest, AT_ONCE)):
        await asyncio.gather(*some)
