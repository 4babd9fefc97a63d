"""A desk: an application with people who submit, review and administer, and decisions under any policy."""

from datetime import datetime, timedelta
from typing import Final

import httpx
import msgspec
import pyotp

from ledger.domain.decision.decide import DECISION
from ledger.domain.decision.events import DecisionEvent
from ledger.domain.decision.item import Item
from ledger.domain.event import Event
from ledger.domain.ids import DecisionId, LeaseId, PersonId, SessionId, StreamName
from ledger.domain.terms import THREAT_ANALYSIS_POLICY, Policy
from ledger.store.streams import read_stream, recorded
from tests.builders.decision_events import ITEM, claimed, lease, submitted
from tests.support.http import ADMIN, Api
from tests.support.recorded import happened

DECISIONS: Final = "/api/decisions"


class Person(msgspec.Struct, frozen=True):
    """Somebody who has logged in."""

    headers: dict[str, str]
    person: PersonId
    session: SessionId


class Desk(msgspec.Struct):
    """The application and the people at it, by name."""

    api: Api
    people: dict[str, Person] = {}

    async def seat(self, name: str, role: str = "analyst") -> Person:
        """Register somebody, unless they sit there already."""
        if name not in self.people:
            headers = await self.api.login() if name == ADMIN else await self.api.newcomer(name, role)
            self.people[name] = self._person(headers)
        return self.people[name]

    async def with_fresh_factor(self, name: str) -> None:
        """Give somebody a second factor, proven just now."""
        headers = self.people[name].headers
        made = (await self.api.client.post("/api/auth/2fa/setup", headers=headers)).json()
        codes = iter(made["backup_codes"])
        for path in ("/api/auth/2fa/verify", "/api/auth/step-up"):
            code = _code_of(made["secret"], self.now()) if path.endswith("verify") else next(codes)
            answer = await self.api.client.post(path, headers=headers, json={"code": code})
            assert answer.status_code == 200, answer.text

    def now(self) -> datetime:
        """The moment by the application's clock."""
        return self.api.services.clock()

    def stream(self, analysis_id: str) -> StreamName:
        return self.api.ledger.decision_stream(DecisionId(analysis_id))

    async def ask(
        self,
        analysis_id: str,
        by: str = "engine",
        *,
        policy: Policy = THREAT_ANALYSIS_POLICY,
        item: Item = ITEM,
        ago: float = 0,
    ) -> str:
        """Let a decision be asked for under this policy, so many seconds ago."""
        at = self.now() - timedelta(seconds=ago)
        asked = submitted(
            self.people[by].person, decision_id=DecisionId(analysis_id), policy=policy, item=item, at=at
        )
        await self.happened(analysis_id, asked)
        return asked.subject_digest

    async def claim(self, analysis_id: str, by: str, token: int = 1) -> LeaseId:
        """Let somebody hold it for five minutes."""
        who = self.people[by]
        await self.happened(analysis_id, claimed(who.person, session=who.session, token=token, at=self.now()))
        return lease(token)

    async def happened(self, analysis_id: str, *events: Event) -> None:
        await happened(self.api.ledger, self.stream(analysis_id), *events)

    async def events(self, analysis_id: str) -> list[DecisionEvent]:
        """Everything that happened to a decision."""
        stored = (await read_stream(self.api.ledger, self.stream(analysis_id))).events
        return [recorded(one, DECISION.event_types).event for one in stored]

    async def post(self, who: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Call ``/api/decisions/…`` as somebody; ``None``: without a body."""
        sent = {
            **self.people[who].headers,
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        if body is None:
            return await self.api.client.post(f"{DECISIONS}/{path}", headers=sent)
        return await self.api.client.post(f"{DECISIONS}/{path}", headers=sent, json=body)

    async def get(self, who: str, path: str) -> httpx.Response:
        return await self.api.client.get(f"{DECISIONS}/{path}", headers=self.people[who].headers)

    def _person(self, headers: dict[str, str]) -> Person:
        token = headers["Authorization"].removeprefix("Bearer ")
        claims = self.api.services.identity.tokens.read_access(token, self.now())
        return Person(headers=headers, person=claims.sub, session=claims.sid)


def _code_of(secret: str, now: datetime) -> str:

    return pyotp.TOTP(secret).at(now)
