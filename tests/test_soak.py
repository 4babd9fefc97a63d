"""The soak: that it runs, that its account is right, and that its verdict falls when something is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from benchmarks.progress import Progress
from benchmarks.server import Server
from benchmarks.soak import report, verdict
from benchmarks.soak.account import Account, Acknowledged
from benchmarks.soak.growth import per_minute
from benchmarks.soak.load import Call, Failure, Outcome, sustained
from benchmarks.soak.soaking import Wanted, soak
from benchmarks.soak.verdict import BOUNDS, MUST_BE_NONE, Soak, bars
from benchmarks.soak.watching import Figure
from tests.support.databases import Cluster, cluster

SECONDS = [float(second) for second in range(100)]


def outcome(rate: int = 100, errors: tuple[Failure, ...] = ()) -> Outcome:
    call = Call(name="GET /api/status", count=2_000, milliseconds=(3.0, 9.0, 20.0), longest=31.0)
    return Outcome(
        submitted=("ONE", "OTHER"),
        resolved={"ONE": "approved"},
        rounds=(rate,) * 20,
        calls=(call,),
        errors=errors,
    )


def clean(**changes: object) -> Soak:
    nothing = dict.fromkeys(MUST_BE_NONE, 0)
    made = Soak(
        minutes=10.0,
        desks=4,
        peak=outcome(100),
        load=outcome(70),
        figures=dict.fromkeys(BOUNDS, Figure(median=1.0, most=2.0, growth=0.0)),
        watched=480.0,
        account=Account(**nothing, warnings={}, events=7),
        machine={"cores": "2"},
        seconds=700.0,
    )
    return replace(made, **changes)


def missed(soak: Soak) -> list[str]:
    return [bar.what for bar in bars(soak) if not bar.is_met()]


def test_what_grows_evenly_grows_by_so_much_a_minute() -> None:
    assert per_minute(SECONDS, [500.0 + second / 10 for second in SECONDS]) == pytest.approx(6.0)


def test_a_few_odd_moments_are_no_growth() -> None:
    values = [900.0 if second % 10 == 7 else 100.0 for second in range(100)]

    assert per_minute(SECONDS, values) == 0.0


def test_growth_among_odd_moments_is_seen() -> None:
    values = [900.0 if second % 10 == 7 else float(second) for second in range(100)]

    assert per_minute(SECONDS, values) == pytest.approx(60.0, rel=0.05)


def test_a_single_moment_says_nothing_of_growth() -> None:
    assert per_minute([1.0], [5.0]) == 0.0


def test_a_rate_leaves_out_arrival_and_the_last_second() -> None:
    assert sustained([1, 2, 50, 50, 50, 50, 50, 3]) == 50.0
    assert sustained([]) == 0.0


def test_a_soak_in_which_nothing_went_wrong_is_passed() -> None:
    assert missed(clean()) == []


def test_an_answer_that_was_not_intended_breaks_it_also_at_the_peak() -> None:
    wrong = (Failure(call="GET /x", why="503", times=2),)

    assert missed(clean(load=outcome(70, wrong))) == ["answers that were not intended"]
    assert missed(clean(peak=outcome(100, wrong))) == ["answers that were not intended"]


def test_a_pace_that_was_not_kept_breaks_it() -> None:
    assert missed(clean(load=outcome(60))) == ["pace, against 70% of the peak"]
    assert missed(clean(peak=outcome(0), load=outcome(0))) == ["pace, against 70% of the peak"]


@pytest.mark.parametrize("name", list(MUST_BE_NONE))
def test_whatever_the_account_finds_breaks_it(name: str) -> None:
    soak = clean()

    assert missed(replace(soak, account=replace(soak.account, **{name: 1}))) == [MUST_BE_NONE[name]]


@pytest.mark.parametrize("name", list(BOUNDS))
def test_growth_beyond_its_bound_breaks_it(name: str) -> None:
    soak = clean()
    grown = Figure(median=1.0, most=2.0, growth=BOUNDS[name][0] * 1.1)

    assert missed(replace(soak, figures={**soak.figures, name: grown})) == [
        f"growth a minute: {verdict.TITLES[name]}"
    ]


def test_growth_is_not_judged_by_a_few_seconds() -> None:
    grown = dict.fromkeys(BOUNDS, Figure(median=1.0, most=2.0, growth=100.0))

    assert missed(clean(figures=grown, watched=60.0)) == []


def test_what_several_loads_were_told_is_added_up() -> None:
    other = replace(outcome(), submitted=("THIRD",), resolved={"OTHER": "rejected"})

    told = Acknowledged.of((outcome(), other))

    assert told.submitted == {"ONE", "OTHER", "THIRD"}
    assert told.resolved == {"ONE": "approved", "OTHER": "rejected"}


def test_the_page_names_every_bar_and_every_answer_that_was_not_intended() -> None:
    soak = clean(load=outcome(70, (Failure(call="GET /x", why="503: busy", times=3),)))

    page = report.page(soak)

    assert "**BROKEN: answers that were not intended.**" in page
    assert all(bar.what in page for bar in bars(soak))
    assert "| answers that were not intended | ≤ 0  | 3.00  | MISSED |" in page
    assert "- Not intended: `GET /x`: 503: busy, 3 times." in page
    assert "| `GET /api/status` | 2,000 | 3 | 9 | 20 | 31 |" in page


def test_the_page_of_a_soak_that_was_passed_says_so() -> None:
    assert "**Passed.** 4 desks" in report.page(clean())


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("soak")) as found:
        yield found


@pytest.mark.long
@pytest.mark.processes
async def test_a_short_soak_of_a_real_service_loses_and_breaks_nothing(
    own_postgres: Cluster, tmp_path: Path
) -> None:
    server = Server(
        owner_url=own_postgres.database("postgres").owner_url,
        service_url=own_postgres.database("postgres").service_url,
        folder=tmp_path,
    )
    await server.prepare()

    found = await soak(server, Wanted(seconds=10, peak_seconds=8, desks=4), Progress(Console(quiet=True)))

    report.show(Console(), found)
    assert [what for what in missed(found) if not what.startswith("pace")] == []
    assert found.load.submitted
    assert found.load.resolved
