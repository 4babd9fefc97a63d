"""deploy/: alerts and dashboard ask for metrics that the service tells, and lead to runbooks that are there."""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import yaml
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from ledger.projections import standby_gauges
from ledger.projections.standby import Standby
from ledger.sealing import gauges as sealing_gauges
from ledger.sealing import witness_gauges
from ledger.sealing.notes import Verifier
from ledger.sealing.patrol import Patrol
from ledger.sealing.tampering import tell
from ledger.sealing.witnesses import Cosigned, Witness, Witnessed, WitnessStanding
from ledger.store.pool import Lines
from ledger.webhooks import gauges
from ledger.webhooks.sending import Outcome
from tests.api.answers import decide, degraded_where_nobody_seals, log_in, submit, together
from tests.support.http import Api
from tests.support.sealing import sealed_in

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
RULES: Final = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD: Final = json.loads((DEPLOY / "grafana/ledger.json").read_text(encoding="utf-8"))
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
METRIC: Final = re.compile(r"\b(?:ledger|process)_[a-z0-9_]+\b")
NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
HANG: Final = 60.0

pytestmark = together


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(shared: Api) -> AsyncIterator[set[str]]:
    """The names of all that the service tells once something of each kind has happened."""
    reader = PrometheusMetricReader()
    metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    engine = await shared.newcomer("engine", "service")
    await submit(shared, engine, "WATCHED")
    await shared.client.get("/api/decisions/WATCHED/response", params={"wait": "1"}, headers=engine)
    await decide(shared, await shared.newcomer("sam"), "WATCHED")
    await log_in(shared, "sam", "not the password")
    _ask_witnesses()
    standby_gauges.measure(Standby(shared.ledger, shared.ledger.pool, Lines()))
    sealing_gauges.measure_patrol(Patrol(shared.ledger))
    gauges.count_attempt(Outcome(status=204, error=None))
    yield {sample.name for sample in await _samples(shared.client)}
    reader.shutdown()


def _ask_witnesses() -> None:
    """Measure what only an installation with witnesses does."""
    north = Witness(name="north", key=Verifier(name="north", public=bytes(32)), url=None)
    last = Cosigned(size=1, cosigned_at=NOW)
    standing = WitnessStanding(witness=north, last=last, partner=None)
    found = Witnessed(quorum_size=1, quorum_at=NOW, waiting_since=NOW, standings=(standing,))
    witness_gauges.measure(found, NOW + timedelta(seconds=1))


async def _samples(client: httpx.AsyncClient) -> list[Sample]:
    text = (await client.get("/metrics")).text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def _value(samples: list[Sample], name: str, **labels: str) -> float:
    """Add up what is told under these labels."""
    return sum(
        sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
    )


def _asked(expression: str) -> set[str]:
    return set(METRIC.findall(expression))


def _expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])
    yield from (variable["query"] for variable in DASHBOARD["templating"]["list"])


async def test_every_metric_that_an_alert_or_a_panel_asks_for_is_told(told: set[str]) -> None:
    asked = set().union(*map(_asked, _expressions()))

    assert len(asked) > 30
    assert asked - told == set()


@pytest.mark.usefixtures("told")
async def test_commands_are_counted_by_what_came_of_them(shared: Api) -> None:
    async def counted() -> dict[str, float]:
        samples = await _samples(shared.client)
        return {
            outcome: _value(samples, "ledger_commands_total", aggregate="decision", outcome=outcome)
            for outcome in ("done", "refused", "failed")
        }

    engine, ana, ben = [
        await shared.newcomer(name, role)
        for name, role in (("other-engine", "service"), ("ana", "analyst"), ("ben", "analyst"))
    ]
    before = await counted()
    await submit(shared, engine, "COUNTED")
    await decide(shared, ana, "COUNTED")
    await decide(shared, ben, "COUNTED")

    after = await counted()
    # What a process counts stays while it runs: tests that were here before leave their own.
    assert {outcome: after[outcome] - before[outcome] for outcome in after} == {
        "done": 2,
        "refused": 1,
        "failed": 0,
    }


@pytest.mark.usefixtures("told")
async def test_readiness_the_queue_and_the_pool_are_told(shared: Api) -> None:
    checks = (await shared.client.get("/health/ready")).json()["checks"]
    samples = await _samples(shared.client)
    connections = _value(samples, "ledger_pool_connections")

    assert {name: bool(_value(samples, "ledger_ready", check=name)) for name in checks} == checks
    assert _value(samples, "ledger_append_queued") == 0
    assert _value(samples, "ledger_append_queue_limit") == shared.ledger.appender.max_queue
    assert 1 <= connections <= _value(samples, "ledger_pool_connections_limit")


async def test_what_a_patrol_of_another_process_finds_degrades_this_one_until_it_is_well_again(
    shared: Api,
) -> None:
    async def degraded() -> list[str]:
        return degraded_where_nobody_seals(await shared.client.get("/health/ready"))

    owner, ledger = uuid4(), shared.ledger
    async with asyncio.timeout(HANG), ledger.pool.acquire() as conn:
        await tell(conn, ledger.ledger_id, owner, 2)
        while await degraded() != ["tampered"]:
            await asyncio.sleep(0.01)
        await tell(conn, ledger.ledger_id, owner, 0)
        while await degraded():
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("told")
async def test_what_the_patrol_finds_is_told_and_degrades_a_service_that_stays_ready(
    shared: Api, tmp_path: Path
) -> None:
    sealed = await sealed_in(shared.ledger, tmp_path)
    await shared.ledger.pool.execute("delete from work.notary_tiles where level = 0")
    shared.services.notary.patrol = Patrol(shared.ledger, begin=0)
    await shared.services.notary.patrol.look()
    ready = await shared.client.get("/health/ready")

    assert (ready.status_code, degraded_where_nobody_seals(ready)) == (200, ["tampered"])
    samples = await _samples(shared.client)
    assert _value(samples, "ledger_sealing_patrol_findings") == 1
    assert _value(samples, "ledger_sealing_patrol_position") == sealed.size
    assert _value(samples, "ledger_sealing_patrol_look_age_seconds") >= 0
    assert _value(samples, "ledger_sealing_patrol_round_age_seconds") >= 0


@pytest.mark.usefixtures("told")
async def test_times_are_told_in_fractions_of_a_second(shared: Api) -> None:
    buckets = [sample for sample in await _samples(shared.client) if sample.name.endswith("_seconds_bucket")]

    assert {"0.005", "0.05", "0.5"} <= {sample.labels["le"] for sample in buckets}


@pytest.mark.parametrize(
    "room", ["http", "commands", "append", "projection", "notary", "witness", "webhook", "pool"]
)
async def test_the_dashboard_shows_every_room(room: str) -> None:
    assert [panel["title"] for panel in PANELS if f"ledger_{room}" in json.dumps(panel["targets"])]


async def test_a_dashboard_has_panels_of_their_own_places_and_numbers() -> None:
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in DASHBOARD["panels"]]

    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
async def test_an_alert_leads_to_a_section_that_exists(rule: dict) -> None:
    path, _, anchor = rule["annotations"]["runbook"].partition("#")

    assert path.startswith("docs/operations/")
    assert anchor in _anchors((ROOT / path).read_text(encoding="utf-8"))


async def test_every_alert_is_played() -> None:
    played = (DEPLOY / "prometheus/rules_test.yml").read_text(encoding="utf-8")

    assert sorted(re.findall(r'alertname="(\w+)"', played)) == sorted(rule["alert"] for rule in RULES)


async def test_every_alert_is_in_the_table_of_alerts() -> None:
    table = (ROOT / "docs/operations/alerts.md").read_text(encoding="utf-8")
    named = re.findall(r"`(Ledger\w+)`", table)

    assert sorted(named) == sorted(rule["alert"] for rule in RULES)


async def test_an_alert_wakes_somebody_or_waits_for_the_morning() -> None:
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


def _anchors(text: str) -> set[str]:
    """Name the sections of a document as a link does."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool here")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "rules.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["test", "rules", "rules_test.yml"],
    ],
)
async def test_prometheus_takes_the_files(arguments: list[str]) -> None:
    promtool = await asyncio.create_subprocess_exec(
        "promtool", *arguments, cwd=DEPLOY / "prometheus", stdout=PIPE, stderr=STDOUT
    )
    said, _ = await promtool.communicate()

    assert promtool.returncode == 0, said.decode()
