"""The history from the command line."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from subprocess import CompletedProcess

import pytest

from ledger.cli.audit import log as audit_log
from ledger.cli.operating import overseeing
from ledger.domain.decision.state import DecisionNotFound
from ledger.domain.ids import DecisionId
from ledger.store.pool import ImpossibleTime
from tests.api.answers import as_owner
from tests.builders import SAM, submitted, voted
from tests.support.databases import Database
from tests.support.recorded import happened


async def some_history() -> None:
    async with overseeing() as opened:
        for name in ("CASE-1", "CASE-2"):
            stream = opened.decision_stream(DecisionId(name))
            await happened(opened, stream, submitted(SAM, decision_id=DecisionId(name)))
            await happened(opened, stream, voted(SAM, notes=f"Seen {name}, [bold]agreed[/bold]."))


@pytest.fixture
def written(installed: Database, capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    asyncio.run(some_history())
    capsys.readouterr()
    return capsys


def test_what_happened_is_shown_in_words_with_who_did_it(written: pytest.CaptureFixture[str]):
    assert audit_log.log(decision="CASE-1") == 0

    head, first, second = written.readouterr().out.splitlines()
    assert head.split()[:2] == ["Position", "Recorded"]
    assert "submitted it, high" in first
    assert "system" in first
    assert "“Seen CASE-1, [bold]agreed[/bold].”" in second


def test_json_is_the_events_and_ndjson_a_line_for_each(written: pytest.CaptureFixture[str]):
    audit_log.log(json=True)
    listed = json.loads(written.readouterr().out)
    audit_log.log(ndjson=True)
    lines = [json.loads(line) for line in written.readouterr().out.splitlines()]

    assert lines == listed
    assert [line["position"] for line in lines] == [1, 2, 3, 4]
    assert lines[1]["people"] == {str(SAM): "erased"}


def test_filters_are_those_of_the_service(written: pytest.CaptureFixture[str]):
    def positions(**filters: object) -> list[int]:
        audit_log.log(json=True, **filters)
        return [event["position"] for event in json.loads(written.readouterr().out)]

    assert positions(type=("vote-cast",)) == [2, 4]
    assert positions(text="seen case-2") == [4]
    assert positions(newest=True, limit=2) == [4, 3]
    assert positions(after=2) == [3, 4]
    assert positions(actor="system", decision="CASE-2") == [3, 4]
    assert positions(actor=str(SAM)) == []
    assert positions(until=datetime(1990, 1, 1)) == []  # noqa: DTZ001 - as it is typed
    assert positions(since=datetime(2190, 1, 1)) == []  # noqa: DTZ001


@pytest.mark.usefixtures("written")
def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(audit_log.NobodyIsCalledSo):
        audit_log.log(actor="nobody-we-know")


@pytest.mark.usefixtures("written")
def test_a_decision_that_nobody_submitted_is_refused():
    with pytest.raises(DecisionNotFound):
        audit_log.log(decision="CASE-77")


@pytest.mark.usefixtures("written")
def test_a_time_that_no_program_can_hold_is_refused_as_what_it_is(installed: Database):
    asyncio.run(
        as_owner(installed, "update ledger.events set recorded_at = '20000-01-01' where position = 3")
    )

    with pytest.raises(ImpossibleTime):
        audit_log.log()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": ("vote-casts",)}, {"--type": "is an event type; the nearest one is vote-cast"}),
        ({"correlation": "xyz"}, {"--correlation": "is a trace id: 32 hexadecimal digits"}),
        ({"stream": "CASE-1"}, {"--stream": "is a stream's name, as events tell it"}),
    ],
)
def test_a_filter_that_names_nothing_is_refused(wrong: dict, said: dict):
    with pytest.raises(audit_log.NamesNothing) as refused:
        audit_log.log(**wrong)

    assert refused.value.context == said


@pytest.mark.parametrize("wrong", [("--limit", "-3"), ("--limit", "0"), ("--after", "-1")])
def test_a_number_of_events_that_cannot_be_is_a_usage_error(
    ledger_here: Callable[..., CompletedProcess[str]], wrong: tuple[str, str]
):
    refused = ledger_here("audit", "log", *wrong)

    assert refused.returncode == 64
    assert f'Invalid value "{wrong[1]}" for {wrong[0]}.' in refused.stderr
