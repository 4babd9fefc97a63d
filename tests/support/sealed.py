"""An office whose policies mark what is personal."""

from typing import Final

import httpx
import msgspec

from ledger.domain.ids import DecisionId, StreamName, SubjectId
from ledger.domain.terms import PersonalText
from ledger.personal import keys
from ledger.personal.opening import opened_text
from ledger.store.ledger import Ledger
from ledger.store.streams import read_stream
from tests.support.desk import Desk
from tests.support.scanning import places_of

# $1 ledger, $2 subject
NOTED: Final = "select stream from work.decision_subjects where ledger_id = $1 and subject = $2"

KIND: Final = "loan"
SCHEMA: Final = {
    "type": "object",
    "required": ["applicant", "amount"],
    "additionalProperties": False,
    "properties": {
        "applicant": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {"id": {"type": ["string", "integer", "null"]}, "name": {"type": "string"}},
        },
        "amount": {"type": "number", "exclusiveMinimum": 0},
        "age": {"type": "integer"},
        "when": {"type": "string", "format": "date"},
        "words": {"type": "array", "items": {"type": "string"}},
    },
}
TEXTS: Final = [text.value for text in PersonalText]
TERMS: Final = {
    "allowed_actions": ["custom"],
    "personal": ["/applicant", "/age", "/words/1", *TEXTS],
    "subject": "/applicant/id",
    "editable_parameters": ["/amount"],
}


async def corners_with(ledger: Ledger, text: str) -> set[str]:
    """Name the columns that hold a text anywhere."""
    return await places_of(ledger.url, [text])


def payload(name: str = "Ann Applicant", subject: object = "ann", **more: object) -> dict[str, object]:
    return {"applicant": {"id": subject, "name": name}, "amount": 1200, "age": 918273645, **more}


class Office(msgspec.Struct):
    """A desk with a kind of items under a policy that marks."""

    desk: Desk
    kind: str = KIND

    @property
    def ledger(self) -> Ledger:
        return self.desk.api.ledger

    async def open(self, **terms: object) -> None:
        """Register the kind and publish its policy."""
        client, admin = self.desk.api.client, self.desk.people["admin"].headers
        body = {"name": self.kind, "title": "A loan", "schema": SCHEMA}
        answer = await client.post("/api/kinds", headers=admin, json=body)
        assert answer.status_code == 200, answer.text
        await self.publish(self.kind, {**TERMS, **terms})

    async def publish(self, kind: str, terms: dict[str, object]) -> None:
        client, people = self.desk.api.client, self.desk.people
        answer = await client.post(
            "/api/policies", headers=people["admin"].headers, json={"kind": kind, "terms": terms}
        )
        assert answer.status_code == 200, answer.text
        version = answer.json()["policy_version"]
        answer = await client.post(f"/api/policies/{kind}/{version}/publish", headers=people["ada"].headers)
        assert answer.status_code == 200, answer.text

    async def submit(self, analysis_id: str, sent: dict[str, object] | None = None, **headers: str):
        body = {
            "analysis_id": analysis_id,
            "kind": self.kind,
            "payload": payload() if sent is None else sent,
            "priority": "high",
            "created_at": "2026-03-01T08:30:00Z",
        }
        answer = await self.desk.post("engine", "submit", body, **headers)
        assert answer.status_code == 200, answer.text
        return answer

    async def claimed(self, analysis_id: str, by: str = "ana") -> dict[str, object]:
        return await self.done(by, f"{analysis_id}/claim")

    async def done(self, who: str, path: str, body: object = None, **headers: str) -> dict[str, object]:
        answer = await self.desk.post(who, path, body, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def told(self, path: str, who: str = "admin") -> str:
        answer = await self.desk.get(who, path)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def log_of(self, analysis_id: str) -> str:
        """The payloads of a decision's events as they are stored."""
        stored = (await read_stream(self.ledger, self.desk.stream(analysis_id))).events
        return "\n".join((one.payload or b"").decode() for one in stored)

    async def opened_log_of(self, analysis_id: str) -> str:
        return await opened_text(self.desk.api.services.identity, await self.log_of(analysis_id))

    async def erase(self, subject: SubjectId) -> int:
        async with self.ledger.pool.acquire() as conn, conn.transaction():
            return await keys.delete_keys(conn, self.ledger.ledger_id, subject)

    async def about(self, subject: SubjectId) -> tuple[StreamName, ...]:
        rows = await self.ledger.pool.fetch(NOTED, self.ledger.ledger_id, subject)
        return tuple(row["stream"] for row in rows)


def own_subject(ledger: Ledger, analysis_id: str) -> SubjectId:
    """The subject of a decision whose policy points to none."""
    return ledger.data_subject(f"decision/{DecisionId(analysis_id)}")


async def attach(desk: Desk, who: str, analysis_id: str, name: str) -> httpx.Response:
    sent = {**desk.people[who].headers, "content-type": "text/plain"}
    return await desk.api.client.post(
        f"/api/decisions/{analysis_id}/evidence", params={"name": name}, headers=sent, content=b"a note"
    )
