"""One call: its caller, its provenance, its command and its answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from litestar import Response

from ledger.api.auth import header_of, services_of
from ledger.api.bodies import Rules, read_json
from ledger.api.conditional import etag, if_match
from ledger.api.idempotency import HEADER, digest_of, key_of
from ledger.api.json_answer import JsonAnswer
from ledger.api.problems import FieldError, InvalidRequest, Problem, problem_of
from ledger.api.receipts import link_to_proof, receipt, wants_seal
from ledger.api.request_id import request_id_of
from ledger.api.services import Services
from ledger.api.types import HttpRequest
from ledger.command_handling.answering import Handled, done_before
from ledger.command_handling.beginning import Unread, begin
from ledger.command_handling.context import CommandContext, Cover
from ledger.command_handling.facts import Build
from ledger.command_handling.handler import Alongside, handle, of_nobody, rehearse
from ledger.domain.authority import Role
from ledger.domain.decider import Decider
from ledger.domain.errors import LedgerError, Refused, RuleViolation
from ledger.domain.event import Event
from ledger.domain.ids import PersonId, StreamName
from ledger.identity.people import ERASED
from ledger.identity.sessions import Principal, reads_of
from ledger.operations.acting import Actor
from ledger.personal.covering import is_same_request
from ledger.personal.opening import opened_json
from ledger.store.envelope import Provenance
from ledger.store.streams import keyed_command_id, new_command_id
from ledger.tracing import here, new_trace_id

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)
T = TypeVar("T", bound=msgspec.Struct)

VIEW_WAIT_SECONDS: Final = 1.0
STALE: Final = "Ledger-View-Stale"
PEOPLE: Final = frozenset({"holder", "decided_by", "assigned_to"})
"""Facts of refusals that are persons."""


class Call:
    """A request on its way through a handler."""

    def __init__(self, request: HttpRequest) -> None:
        """Take the request as the framework gave it."""
        self._request = request
        self.services: Services = services_of(request.app)

    @property
    def principal(self) -> Principal:
        """Who calls; only behind a guard."""
        return self._request.user

    async def json(self, shape: type[T], rules: Rules | None = None) -> T:
        """Read the body strictly as ``shape``; see ``read_json`` for what it raises."""
        return await read_json(self._request, shape, rules)

    async def names_fields(self, *names: str) -> bool:
        """Say whether the body is a JSON object with all these fields; whatever is wrong with it is told later."""
        body = await self._request.body()
        if not all(f'"{name}"'.encode() in body for name in names):
            return False
        try:
            return set(names) <= msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False

    async def json_if_any(self, shape: type[T]) -> T:
        """As ``json``; a body that is left out is one that says nothing."""
        return await self.json(shape) if await self._request.body() else shape()

    async def actor(self) -> Actor:
        """Say who acts, by which request."""
        return Actor(principal=self.principal, provenance=await self.provenance(), clock=self.services.clock)

    async def handle(
        self,
        decider: Decider[C, S, E],
        target: StreamName,
        build: Build[C],
        *,
        reads: Sequence[StreamName] = (),
        alongside: Alongside | None = None,
        provenance: Provenance | None = None,
        cover: Cover[S, C] | None = None,
        unread: Unread[C] | None = None,
    ) -> Handled[E]:
        """Carry out a command of this caller; the append relies on their session and account, and on ``reads``.

        ``provenance`` is that of the request, unless it is given; ``cover`` seals what is personal; ``unread`` lets a
        command be tried before anything is read.
        """
        context = CommandContext(
            decider=decider,
            target=target,
            clock=self.services.clock,
            provenance=provenance or await self._provenance(),
            reads=(*reads_of(self.principal), *reads),
            if_match=if_match(self._request),
            cover=cover,
            recognise=self._recognise,
        )
        ledger = self.services.ledger
        async with self._telling_by_name():
            if unread is not None and context.if_match is None:
                begun = await begin(ledger, context, build, unread)
                if begun is not None:
                    return begun
            return await handle(ledger, context, build, alongside=alongside)

    async def rehearse(
        self,
        decider: Decider[C, S, E],
        target: StreamName,
        build: Build[C],
        *,
        reads: Sequence[StreamName] = (),
        cover: Cover[S, C] | None = None,
    ) -> tuple[E, ...]:
        """Say what ``handle`` would do at this moment, or refuse what it would, and do nothing."""
        async with self._telling_by_name():
            context = CommandContext(
                decider=decider,
                target=target,
                clock=self.services.clock,
                provenance=of_nobody(),
                reads=(*reads_of(self.principal), *reads),
                if_match=if_match(self._request),
                cover=cover,
            )
            return await rehearse(self.services.ledger, context, build)

    async def _recognise(self, stored: str, request: str) -> bool:
        return await is_same_request(self.services.identity, stored, request)

    @asynccontextmanager
    async def _telling_by_name(self) -> AsyncIterator[None]:
        try:
            yield
        except (RuleViolation, Refused) as refusal:
            people = _people_in(refusal)
            if not people:
                raise
            raise await self._by_name(refusal, people) from refusal

    async def turn(self) -> asyncio.Lock:
        """Give a lock that those take in turns who send this very call at the same time, to this process."""
        provenance = await self.provenance()
        return self.services.ledger.turns.on(StreamName(f"call {provenance.command_id}"))

    async def done_before(self, decider: Decider[C, S, E]) -> Handled[E] | None:
        """Find what this very call did when it was sent before; ``None``: it has not, or has no Idempotency-Key.

        Raises:
            KeyReused: the key has been used for another request.
        """
        provenance = await self._provenance()
        if not provenance.is_keyed:
            return None
        return await done_before(self.services.ledger, decider, provenance, self._recognise)

    async def _by_name(self, refusal: LedgerError, people: Mapping[str, PersonId]) -> LedgerError:
        """Say by user name whom a refusal speaks of: person ids belong in the history alone."""
        names = await self.names(list(people.values()))
        told = {fact: names.get(person, ERASED) for fact, person in people.items()}
        return type(refusal)(**{**refusal.context, **told})

    async def provenance(self) -> Provenance:
        """Say where a command comes from whose target has no version that clients know.

        With an Idempotency-Key the caller and the key name it.

        Raises:
            InvalidRequest: it comes with an If-Match, which must not be passed over in silence.
        """
        if if_match(self._request) is not None:
            raise InvalidRequest(FieldError("If-Match", "is not taken by this call: it gives out no ETag"))
        return await self._provenance()

    @property
    def is_keyed(self) -> bool:
        """Say whether the request may be one that has been sent before."""
        return header_of(self._request, HEADER) is not None

    def problem(self, error: LedgerError) -> Problem:
        """Write what was refused of one thing among many."""
        scope = self._request.scope
        return problem_of(
            error,
            path=scope["path"],
            request_id=request_id_of(scope),
            template=str(scope.get("path_template", "")),
        )

    async def provenance_of(self, content: bytes) -> Provenance:
        """As the provenance of a command, for a body that was read elsewhere: ``content`` stands for it."""
        return await self._provenance(content)

    async def _provenance(self, content: bytes | None = None) -> Provenance:
        wants_seal(self._request)  # what is wrong with it has to be said before anything is written
        actor = self.principal.person
        key = key_of(self._request)
        if key is None:
            command_id, digest = new_command_id(), ""
        else:
            command_id = keyed_command_id(actor, key)
            digest = await digest_of(self._request, self.services.ledger.request_key, content)
        return Provenance(
            actor=str(actor),
            command_id=command_id,
            is_keyed=key is not None,
            correlation_id=self.trace_id(),
            request=digest,
        )

    def trace_id(self) -> str:
        """Name the trace of the request: the caller's, where it is known who calls, or its own."""
        trail = here()
        return new_trace_id() if trail is None else trail.trace_id

    async def names(self, people: Sequence[PersonId | None]) -> Mapping[PersonId, str]:
        """Look up the user names of ``people``; the erased are missing."""
        return await self.services.lookups.names([person for person in people if person is not None])

    async def answer(
        self,
        body: msgspec.Struct | msgspec.Raw,
        *,
        handled: Handled[E] | None = None,
        feeds: Sequence[str] = (),
        is_tagged: bool = False,
    ) -> Response[bytes]:
        """Answer with ``body`` once the views that the command ``feeds`` show it, or after one second.

        Whoever asked to wait for the seal waits for it here.

        ``is_tagged`` where the call honours If-Match: the answer then carries the version to name there.
        """
        headers: dict[str, str] = {}
        if handled is not None:
            headers = position_headers(handled)
            if is_tagged:
                headers["ETag"] = etag(handled.version)
            stale = await self.services.progress.wait_for(
                feeds,
                handled.position,
                VIEW_WAIT_SECONDS,
                stream=handled.events[0].stream if handled.events else None,
            )
            if stale:
                headers[STALE] = ",".join(stale)
            if wants_seal(self._request):
                headers |= await receipt(self._request, self.services, handled.position)
        return await self.shown(body, headers=headers)

    async def shown(self, body: object, *, headers: Mapping[str, str] | None = None) -> Response[bytes]:
        """Answer with JSON in which sealed text is opened: whoever may see the answer may see that."""
        opened = await opened_json(self.services.identity, msgspec.json.encode(body))
        return JsonAnswer(opened, headers=headers)


def _people_in(refusal: LedgerError) -> dict[str, PersonId]:
    return {
        name: PersonId(fact)
        for name, fact in refusal.context.items()
        if name in PEOPLE and isinstance(fact, UUID)
    }


def position_headers(handled: Handled[E]) -> dict[str, str]:
    """Tell where the command's last event lies, what it hashes to, and where its proof will be."""
    headers = {
        "Ledger-Position": str(handled.position),
        "Ledger-Leaf-Hash": handled.leaf.hex(),
    }
    if handled.events:
        headers["Link"] = link_to_proof(handled.events[-1].event_id)
    return headers


def staleness(services: Services, *names: str) -> dict[str, str]:
    """Say which of the views behind a list are late, paused, or lack something that is parked."""
    stale = services.progress.stale(names)
    return {STALE: ",".join(stale)} if stale else {}


def own_only(principal: Principal) -> PersonId | None:
    """Say whose decisions a caller may see: a service's own, everybody's (``None``) for people."""
    return principal.person if principal.role is Role.SERVICE else None
