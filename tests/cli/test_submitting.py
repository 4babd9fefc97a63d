"""What becomes of a line, whatever the service answers; here the service answers by script."""

import json
from collections.abc import Callable, Iterator

import httpx2
import pytest

from ledger.cli import submitting
from ledger.cli.import_source import Line
from ledger.cli.submitting import AlreadyThere, CannotGoOn, Differs, Imported, Refused, Submitter

LINE = Line(number=3, text=b'{"analysis_id": "A"}', size=21)
DONE = httpx2.Response(200, json={"message": "ok", "analysis_id": "A"})


def problem(status: int, code: str, detail: str = "", **more: object) -> httpx2.Response:
    return httpx2.Response(status, json={"code": code, "detail": detail, **more})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "WAITS", (0.001,))


class Script:
    """Answers one after the other; an exception is a lost connection. Remembers what it was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self._answers: Iterator[httpx2.Response | Exception] = iter(answers)
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def keys(self) -> set[str]:
        return {request.headers["Idempotency-Key"] for request in self.asked}


def submitter_for(
    script: Callable[[httpx2.Request], httpx2.Response],
    patience: float = 5,
    say: Callable[[str], None] = print,
) -> Submitter:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(script), base_url="http://service")
    return Submitter(client, patience, say)


async def test_an_accepted_line_is_imported_verbatim():
    script = Script(DONE)
    assert await submitter_for(script).submit(LINE) == Imported()
    assert script.asked[0].content == LINE.text
    assert script.asked[0].url.path == "/api/decisions/submit"


EXISTS = problem(400, "already-exists")
THERE = {"analysis_id": "A", "confidence": 89.0, "incident_id": None, "created_at": "2026-03-01T08:30:00Z"}


def a_line(**fields: object) -> Line:
    return Line(number=3, text=json.dumps({"analysis_id": "A", **fields}).encode(), size=21)


@pytest.mark.parametrize("created_at", ["2026-03-01T08:30:00", "2026-03-01T10:30:00.000+02:00"])
async def test_one_that_exists_already_is_no_error(created_at: str):
    script = Script(EXISTS, httpx2.Response(200, json={**THERE, "status": "approved"}))
    line = a_line(confidence=89, created_at=created_at, unknown=1)
    assert await submitter_for(script).submit(line) == AlreadyThere()
    assert script.asked[1].url.path == "/api/decisions/A"


async def test_one_that_exists_with_another_content_differs_in_named_fields():
    script = Script(EXISTS, httpx2.Response(200, json={**THERE, "status": "approved"}))
    line = a_line(confidence=89.5, incident_id="INC-1", created_at="never")
    assert await submitter_for(script).submit(line) == Differs(("confidence", "created_at", "incident_id"))


async def test_an_id_is_named_in_the_address_whatever_it_holds():
    script = Script(EXISTS, httpx2.Response(200, json={"analysis_id": "a b?ü%"}))
    assert await submitter_for(script).submit(a_line(analysis_id="a b?ü%")) == AlreadyThere()
    assert script.asked[1].url.raw_path == b"/api/decisions/a%20b%3F%C3%BC%25"


async def test_looking_at_what_exists_is_tried_again_too():
    there = httpx2.Response(200, json=THERE)
    script = Script(EXISTS, httpx2.ReadError("reset"), problem(503, "overloaded"), there)
    line = a_line(confidence=89, created_at=THERE["created_at"])
    assert await submitter_for(script).submit(line) == AlreadyThere()


async def test_what_exists_and_may_not_be_seen_is_refused():
    outcome = await submitter_for(Script(EXISTS, problem(404, "decision-not-found"))).submit(a_line())
    assert outcome == Refused("is there already, and this account may not see what it holds")


async def test_a_service_that_does_not_show_what_exists_stops_the_import():
    with pytest.raises(CannotGoOn, match="Not authenticated"):
        await submitter_for(Script(EXISTS, problem(401, "not-authenticated", "Not authenticated."))).submit(
            LINE
        )
    with pytest.raises(CannotGoOn, match="there is no decision ledger"):
        await submitter_for(Script(EXISTS, httpx2.Response(200, text="hello"))).submit(LINE)


async def test_the_first_time_that_the_service_is_away_is_told_with_its_address():
    told: list[str] = []
    script = Script(httpx2.ConnectError("refused"), httpx2.ConnectError("refused"), DONE)
    await submitter_for(script, say=told.append).submit(LINE)
    assert told == ["http://service is away (ConnectError refused); trying for 5 seconds"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            problem(422, "invalid-request", errors=[{"field": "priority", "message": "is odd"}]),
            "422 priority: is odd",
        ),
        (problem(413, "body-too-large", "Too large."), "413 Too large."),
        (problem(400, "rule-violation", "No."), "400 No."),
        (problem(500, "internal-error", "Oh."), "500 Oh."),
    ],
)
async def test_a_bad_line_is_refused_with_the_reason(answer: httpx2.Response, reason: str):
    assert await submitter_for(Script(answer)).submit(LINE) == Refused(reason)


async def test_a_line_that_is_too_long_is_not_even_sent():
    outcome = await submitter_for(Script()).submit(Line(number=1, text=None, size=9_000_000))
    assert outcome == Refused("is longer than 8 MiB")


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadError("reset"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("cut off"),
        problem(503, "outcome-unknown"),
        problem(429, "too-many"),
        httpx2.Response(502, text="<html>bad gateway</html>"),
        problem(409, "version-conflict"),
    ],
)
async def test_what_may_pass_is_tried_again_with_the_same_key(answer: httpx2.Response | Exception):
    script = Script(answer, answer, DONE)
    assert await submitter_for(script).submit(LINE) == Imported()
    assert len(script.asked) == 3
    assert len(script.keys()) == 1


async def test_keys_differ_from_line_to_line_and_from_run_to_run():
    script = Script(DONE, DONE, DONE)
    submitter = submitter_for(script)
    await submitter.submit(LINE)
    await submitter.submit(Line(number=4, text=LINE.text, size=21))
    await submitter_for(script).submit(LINE)
    assert len(script.keys()) == 3


async def test_patience_ends():
    def always_away(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(
        CannotGoOn, match=r"http://service did not .* within 0\.05 seconds; at last: ConnectError refused"
    ):
        await submitter_for(always_away, patience=0.05).submit(LINE)


async def test_retry_after_is_honoured():
    away = httpx2.Response(
        503, headers={"Retry-After": "3600"}, json={"code": "overloaded", "detail": "Full."}
    )
    with pytest.raises(CannotGoOn, match=r"at last: 503 Full\."):  # rather than asking again too soon
        await submitter_for(Script(away), patience=60).submit(LINE)
    now = httpx2.Response(503, headers={"Retry-After": "0"}, json={"code": "overloaded"})
    assert await submitter_for(Script(now, DONE)).submit(LINE) == Imported()


@pytest.mark.parametrize("status", [401, 403])
async def test_who_may_not_submit_is_told_once(status: int):
    refused = problem(status, "not-authenticated", "Not authenticated.")
    with pytest.raises(CannotGoOn, match=f"{status} Not authenticated. LEDGER_TOKEN must be"):
        await submitter_for(Script(refused)).submit(LINE)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404, text="not here"),
        problem(404, "no-such-path"),
        httpx2.Response(302, headers={"Location": "/"}),
        httpx2.Response(200, text="<html>welcome</html>", headers={"Content-Type": "text/html"}),
        httpx2.Response(418, content=json.dumps([1]).encode()),
    ],
)
async def test_a_service_that_is_no_ledger_is_recognised(answer: httpx2.Response):
    with pytest.raises(CannotGoOn, match="there is no decision ledger"):
        await submitter_for(Script(answer)).submit(LINE)
