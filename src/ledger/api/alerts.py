"""The WebSocket of alerts: what analysts are told at once, from any position on."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Final, assert_never

import msgspec
import structlog
from litestar import Response, get, websocket
from litestar.exceptions import WebSocketException
from litestar.params import FromPath

from ledger.api import alerts_wire as say
from ledger.api.auth import services_of
from ledger.api.call import Call
from ledger.api.json_answer import json_response
from ledger.api.lasting import Stay, line_of
from ledger.api.permissions import guard
from ledger.api.quota import spend_message
from ledger.api.services import Services
from ledger.api.types import HttpRequest, Socket
from ledger.delivery.news import AGAIN_SECONDS, Ear, TooManyStreams
from ledger.delivery.notices import AlertType
from ledger.delivery.switchboard import Counts
from ledger.domain.authority import InsufficientPermissions, Role
from ledger.domain.errors import Invalid, LedgerError, Unavailable
from ledger.domain.ids import START, PersonId, Position
from ledger.identity.people import folded, names_of
from ledger.identity.sessions import Principal, authenticate
from ledger.personal.opening import opened_json
from ledger.projections.catalog import ALL

log = structlog.get_logger()

ALERTED: Final = frozenset({Role.ADMIN, Role.ANALYST})
AFTER: Final = re.compile(r"\d{1,18}")
BEAT_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 5.0
"""How often an administrator's connection looks whether the read models are well."""
SEND_SECONDS: Final = 20.0
GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013
VIEWS: Final = tuple(feed.name for feed in ALL)


class NotYourAlerts(InsufficientPermissions):
    """Insufficient permissions: alerts are for analysts and administrators, each their own."""

    code = "not-your-alerts"
    advice = "Connect to /ws/USERNAME with a token of that very user."


class NoSuchPosition(Invalid):
    """There is no such position in this ledger."""

    code = "no-such-position"
    advice = "'after' is the resume_after of an alert, or the position of a heartbeat."


@websocket("/ws/{username:str}", guards=[guard])
async def alerts(socket: Socket, username: FromPath[str]) -> None:
    """Send alerts to an analyst or administrator until they leave, their session ends or the service stops."""
    await socket.accept()
    connection = _Connection(socket, services_of(socket.app))
    try:
        await connection.serve(username)
    except TooManyStreams as full:
        await connection.close(TRY_AGAIN_LATER, full.code)
    except Unavailable as away:
        await connection.close(TRY_AGAIN_LATER, away.code)
    except LedgerError as refusal:
        await connection.close(POLICY_VIOLATION, refusal.code)
    except TimeoutError:
        connection.hang_up()


@get("/api/ws/stats", tags=["System"], opt={"answer": Counts}, sync_to_thread=False)
def stats(request: HttpRequest) -> Response[bytes]:
    """Count the WebSocket connections of this process."""
    return json_response(Call(request).services.live.switchboard.counts())


class _Connection:
    """One client."""

    def __init__(self, socket: Socket, services: Services) -> None:
        self._socket, self._services, self._live = socket, services, services.live
        self._line = line_of(socket.scope["state"])
        self._turn = asyncio.Lock()
        self._wanted = set(AlertType)
        self._granted = set(AlertType)
        self._has_chosen = False
        self._degraded: tuple[str, ...] = ()
        self._halted: str | None = None
        self._forked: tuple[str, ...] = ()
        self._position = START
        self._refusal: LedgerError | None = None

    def hang_up(self) -> None:
        """End it: the client does not read what it is sent."""
        log.info("alerts.too_slow", position=self._position)
        self._line.hang_up()

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye, if anybody still listens."""
        log.info("alerts.closed", code=code, reason=reason)
        with suppress(OSError, WebSocketException):
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.close(code, reason)

    async def serve(self, username: str) -> None:
        """Check who it is, then tell them everything.

        Raises:
            LedgerError: why not, or why not any longer.
            TimeoutError: the client does not read.
        """
        principal = await self._admitted(username)
        if principal.role is not Role.ADMIN:
            self._granted -= {AlertType.SYSTEM_ALERT}
        stay = Stay(self._services.identity, self._live.news, principal)
        with ExitStack() as held:
            held.enter_context(self._live.switchboard.connected(principal.person))
            ear = held.enter_context(self._live.news.listening())
            held.enter_context(self._line.watched(ear.lose))
            held.enter_context(self._live.staying(self._line.hang_up))
            await self._begin(username)
            listener = asyncio.create_task(self._listen(principal.person, ear))
            try:
                await self._tell(stay, ear)
            finally:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)
        if self._refusal is not None:
            raise self._refusal

    async def _admitted(self, username: str) -> Principal:
        services = self._services
        principal = await authenticate(services.identity, self._socket.query_params.get("token", ""))
        await spend_message(services, principal.person)
        ledger = services.ledger
        names = await names_of(ledger.pool, ledger.ledger_id, [principal.person])
        is_theirs = folded(names.get(principal.person, "")) == folded(username)
        if principal.role not in ALERTED or not is_theirs:
            raise NotYourAlerts
        return principal

    async def _begin(self, username: str) -> None:
        head = await self._services.ledger.head()
        after = self._socket.query_params.get("after")
        if after is not None and not (AFTER.fullmatch(after) and int(after) <= head):
            raise NoSuchPosition
        self._position = head if after is None else Position(int(after))
        await self._say(
            say.Connected(
                status="connected",
                username=username,
                alert_types=self._subscriptions(),
                position=self._position,
                timestamp=self._services.clock(),
            )
        )

    async def _tell(self, stay: Stay, ear: Ear) -> None:
        """Send alerts and heartbeats until there is nobody to send them to; what cannot be read now is sent later."""
        clock = asyncio.get_running_loop().time
        next_beat = clock() + BEAT_SECONDS
        while not ear.is_lost:
            if self._live.news.is_over:
                await self.close(GOING_AWAY, "stopping")
                return
            is_beat = clock() >= next_beat
            try:
                is_last = await self._news(stay, is_beat=is_beat)
            except Unavailable:
                is_last = not await ear.listen(AGAIN_SECONDS)
            if is_beat:
                next_beat = clock() + BEAT_SECONDS
                await self._say(say.Heartbeat(position=self._position, timestamp=self._services.clock()))
            if is_last:
                wait = LOOK_SECONDS if stay.principal.role is Role.ADMIN else BEAT_SECONDS
                await ear.listen(max(0.0, min(wait, next_beat - clock())))

    async def _news(self, stay: Stay, *, is_beat: bool) -> bool:
        """Send what is new; say whether that was all there is."""
        page = await self._live.news.after(self._position)
        alerts = [alert for notice in page.notices for alert in say.alerts_of(notice)]
        alerts += self._of_system(stay.principal)
        await stay.check(anyway=bool(alerts) or is_beat)
        if stay.principal.role not in ALERTED:
            raise NotYourAlerts
        for alert in alerts:
            if alert.alert.alert_type in self._wanted:
                await self._say(alert)
                self._live.switchboard.sent()
        self._position = page.after
        return page.is_last

    def _of_system(self, principal: Principal) -> Iterator[say.Alerted]:
        """Tell an administrator when read models begin or cease to lack events, when sealing halts and goes on, of forks."""
        if principal.role is not Role.ADMIN:
            return
        progress, halt = self._services.progress, self._services.notary.halt
        halted = None if halt is None else halt.code
        if halted != self._halted:
            self._halted = halted
            yield say.alert_of_sealing(halt, now=self._services.clock(), position=self._position)
        forked = self._services.forked()
        if forked != self._forked:
            self._forked = forked
            yield say.alert_of_witnesses(forked, now=self._services.clock(), position=self._position)
        degraded = tuple(name for name in VIEWS if progress.parked(name))
        if degraded != self._degraded:
            self._degraded = degraded
            yield say.alert_of_views(degraded, now=self._services.clock(), position=self._position)

    async def _listen(self, person: PersonId, ear: Ear) -> None:
        """Answer what the client says, until it leaves or talks too much."""
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                await spend_message(self._services, person)
                await self._answer(message.get("text") or message.get("bytes") or "")
        except LedgerError as refusal:
            self._refusal = refusal
        except TimeoutError:
            self.hang_up()
        finally:
            ear.lose()

    async def _answer(self, text: str | bytes) -> None:
        try:
            heard = say.heard_in(text)
        except say.MalformedMessage as misunderstood:
            message = f"{misunderstood.title()} {misunderstood.advice}"
            await self._say(say.Misunderstood(code=misunderstood.code, message=message))
            return
        match heard:
            case say.Ping():
                await self._say(say.Pong(timestamp=self._services.clock()))
            case say.Subscribe(alert_types):
                self._wanted = set(alert_types) | (self._wanted if self._has_chosen else set())
                self._has_chosen = True
                await self._say(say.Subscribed(alert_types=alert_types, subscriptions=self._subscriptions()))
            case say.Unsubscribe(alert_types):
                self._wanted -= set(alert_types)
                self._has_chosen = True
                await self._say(
                    say.Unsubscribed(alert_types=alert_types, subscriptions=self._subscriptions())
                )
            case _:
                assert_never(heard)

    def _subscriptions(self) -> tuple[AlertType, ...]:
        return tuple(one for one in AlertType if one in self._wanted & self._granted)

    async def _say(self, said: say.Said) -> None:
        text = (await opened_json(self._services.identity, msgspec.json.encode(said))).decode()
        try:
            async with self._turn, asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(text)
        except TimeoutError:  # which is an OSError too
            raise
        except (OSError, WebSocketException):  # the client has left, as the line says
            return
