"""That every benchmark still runs and still says what it found; never how fast anything was."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from benchmarks import chart, machine, render
from benchmarks.__main__ import SCENARIOS, part_of
from benchmarks.peers.message_db import MessageDb
from benchmarks.progress import Progress
from benchmarks.result import Bar, Part, Report, ratio
from benchmarks.scale import TINY
from benchmarks.scenarios import throughput
from benchmarks.server import Server
from benchmarks.subject import NotAvailable
from tests.support.databases import Cluster, cluster

MACHINE = {"cores": "2", "memory": "4 GiB"}


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of its own: the template of the benchmarks is made from scratch in it."""
    with cluster(tmp_path_factory.mktemp("benchmarks")) as found:
        yield found


@pytest.fixture
async def server(own_postgres: Cluster, tmp_path: Path) -> Server:
    made = Server(
        owner_url=own_postgres.database("postgres").owner_url,
        service_url=own_postgres.database("postgres").service_url,
        folder=tmp_path,
    )
    await made.prepare()
    return made


@pytest.fixture(autouse=True)
def _without_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: MessageDb) -> MessageDb:
        raise NotAvailable("no package is fetched in tests")

    monkeypatch.setattr(MessageDb, "__aenter__", away)


def quiet() -> Progress:
    return Progress(Console(quiet=True))


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in SCENARIOS
        if name not in {"http", "speed", "telemetry", "flood", "waiting", "throughput"}
    ],
)
async def test_every_scenario_runs_and_reports(server: Server, name: str) -> None:
    part = await SCENARIOS[name](server, TINY, quiet())

    must_report(part)


@pytest.mark.long
@pytest.mark.processes
async def test_the_load_cases_run_over_a_real_service(server: Server) -> None:
    part = await SCENARIOS["http"](server, TINY, quiet())

    must_report(part)
    assert part.figures["http.memory_at_peak_mb"] > 0
    assert {row[0].split()[0] for row in part.tables[0].rows} == {"50", "60", "100"}


@pytest.mark.long
@pytest.mark.processes
async def test_the_speed_of_answers_is_measured_over_real_services(server: Server) -> None:
    part = await SCENARIOS["speed"](server, TINY, quiet())

    must_report(part)
    assert {"nothing", "POST", "GET", "POST, workers apart"} <= {row[0] for row in part.tables[0].rows}
    assert part.figures["speed.post.per_second"] > 0


@pytest.mark.long
@pytest.mark.processes
async def test_the_cost_of_telemetry_is_measured_over_real_services(server: Server) -> None:
    part = await SCENARIOS["telemetry"](server, TINY, quiet())

    must_report(part)
    assert {"telemetry.on_to_off", "telemetry.unlogged_to_off"} <= part.figures.keys()


@pytest.mark.long
@pytest.mark.processes
async def test_waiting_for_answers_is_measured_over_a_real_service(server: Server) -> None:
    part = await SCENARIOS["waiting"](server, TINY, quiet())

    must_report(part)
    assert part.figures["waiting.alone.p99_ms"] > 0


@pytest.mark.long
@pytest.mark.processes
async def test_a_flood_of_logins_is_measured_over_a_real_service(server: Server) -> None:
    part = await SCENARIOS["flood"](server, TINY, quiet())

    must_report(part)
    assert part.figures["flood.logins_per_second"] > 0


@pytest.mark.long
async def test_throughput_runs_and_names_a_peer_that_is_not_there(server: Server) -> None:
    part = await throughput.measure(server, TINY, quiet())

    must_report(part)
    assert any("message-db: not measured" in note for note in part.notes)
    assert throughput.MESSAGES not in [row[0] for row in part.tables[0].rows]


async def test_a_scenario_that_breaks_loses_its_own_figures_alone(capsys: pytest.CaptureFixture[str]) -> None:
    async def breaks() -> Part:
        raise NotAvailable("the disk is full")

    async def ends() -> Part:
        return Part(name="latency", tables=(), figures={"latency.p99": 1.0})

    parts = (await part_of("reading", breaks()), await part_of("latency", ends()))
    page = render.markdown(Report(mode="full", machine=MACHINE, parts=parts, seconds=1), None)

    assert parts[0].broken == "NotAvailable: the disk is full"
    assert parts[1].figures == {"latency.p99": 1.0}
    assert page.count("this scenario broke") == 1
    assert "the disk is full" in capsys.readouterr().err


def must_report(part: Part) -> None:
    assert part.figures
    for table in part.tables:
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows)
    whole = Report(mode="tiny", machine=MACHINE, parts=(part,), seconds=1.0)
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Report) == whole
    assert part.tables[0].title in render.markdown(whole, None)


def test_the_chart_is_well_formed_and_names_everybody() -> None:
    figures = {"append.ours.1.500": 900.0, "append.ours.64.500": 16_000.0, "append.<peer>.1.500": 300.0}

    drawn = chart.draw(figures, 500)

    assert drawn is not None
    assert "&lt;peer&gt;" in drawn
    assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - our own


def test_there_is_no_chart_of_a_single_number_in_flight() -> None:
    assert chart.draw({"append.ours.64.500": 16_000.0}, 500) is None


def test_ratios_compare_what_ran_next_to_each_other() -> None:
    assert ratio([100.0, 10.0, 90.0], [50.0, 5.0, 1.0]) == 2.0


def test_a_bar_is_met_from_its_own_side() -> None:
    assert Bar(what="speed", reached=4.0, direction="at least", bar=3.5).is_met()
    assert not Bar(what="memory", reached=301.0, direction="at most", bar=300.0, unit="MB").is_met()


def test_the_machine_is_described_without_names(tmp_path: Path) -> None:
    described = machine.describe(tmp_path, "18")

    assert set(described) >= {"cores", "memory", "disk", "PostgreSQL"}
    assert not any(str(tmp_path) in value for value in described.values())
