"""The primary's machine is gone, and its standby takes over: nothing is lost with a synchronous one.

With an asynchronous one the last moments are, though they were acknowledged: the notary, whose guard is elsewhere, sees
it and halts.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.support.outside import SERVICE, Outside, outside, settings_of, url_of
from tests.support.reliability import Row
from tests.support.service import HANG_GUARD, Service, ledger, service
from tests.support.traffic import UNLIMITED, in_the_log, traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

IS_FOLLOWED = "select count(*) from pg_stat_replication where state = 'streaming'"
IS_SYNCHRONOUS = "select count(*) from pg_stat_replication where sync_state = 'sync'"
RECEIVES_NOTHING = "select count(*) = 0 from pg_stat_wal_receiver"
BEHIND_SECONDS = 1.5


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A primary, its standby, and a service that knows the addresses of both."""

    primary: Outside
    standby: Outside
    settings: dict[str, str]

    def promote(self) -> None:
        self.standby.ask("select pg_promote()", database="postgres")


@contextmanager
def a_pair(data_dir: Path, *, synchronous: bool) -> Iterator[Pair]:
    with outside() as primary, outside() as standby:
        primary.make()
        standby.follow(primary)
        primary.until(IS_FOLLOWED)
        if synchronous:
            primary.ask("alter system set synchronous_standby_names = '*'")
            primary.ask("select pg_reload_conf()")
            primary.until(IS_SYNCHRONOUS)
        both = f"{primary.address},{standby.address}"
        urls = [url_of(role, both, target_session_attrs="read-write") for role in (SERVICE, "ledger_owner")]
        settings = {**settings_of(*urls, data_dir), **UNLIMITED}
        yield Pair(primary=primary, standby=standby, settings=settings)


def sealed_up_to(running: Service, token: str) -> int:
    with running.client(token) as client:
        return int(client.get("/admin/notary/status").json()["size"])


def test_a_synchronous_standby_takes_over(tmp_path: Path, record: Callable[[Row], None]) -> None:
    with ExitStack() as stack:
        pair = stack.enter_context(a_pair(tmp_path, synchronous=True))
        running = stack.enter_context(service(settings=pair.settings))
        load = stack.enter_context(traffic(running, pair.standby.owner_url))
        with load.flowing(), load.trouble() as trouble:
            pair.primary.kill()
            time.sleep(1)
            pair.promote()
            trouble.over()
        trouble.check(within=20)
        token = running.login()
        head = load.total()
        wait_until(lambda: sealed_up_to(running, token) >= head)
        for command in (("doctor",), ("migrate",), ("notary", "status")):
            done = ledger(*command, settings=pair.settings)
            assert done.returncode == 0, done.stdout + done.stderr
    record(trouble.row("the primary dies, its synchronous standby is promoted a second later"))


def test_an_asynchronous_standby_takes_over(tmp_path: Path, record: Callable[[Row], None]) -> None:
    with ExitStack() as stack:
        pair = stack.enter_context(a_pair(tmp_path, synchronous=False))
        running = stack.enter_context(service(settings=pair.settings))
        load = stack.enter_context(traffic(running, pair.standby.owner_url))
        with load.flowing(), load.trouble() as trouble:
            pair.standby.ask("alter system set primary_conninfo = ''", database="postgres")
            pair.standby.ask("select pg_reload_conf()", database="postgres")
            pair.standby.until(RECEIVES_NOTHING)
            before = len(load.acknowledged)
            time.sleep(BEHIND_SECONDS)
            wait_until(lambda: len(load.acknowledged) > before)
            pair.primary.kill()
            pair.promote()
            trouble.over()
        trouble.check_answers(within=20)
        lost = len(load.acknowledged) - in_the_log(load.owner_url)[0]
        assert lost > 0
        assert "guard-ahead" in running.output.until("notary.halted")
        told = ledger("notary", "status", settings=pair.settings)
        assert told.returncode == 2, told.stdout
    record(
        trouble.row(
            f"the primary dies; its asynchronous standby, {BEHIND_SECONDS} s behind, is promoted",
            lost="**what the standby had not received**: the notary halts (`guard-ahead`), witnesses see it",
        )
    )
    print(f"lost {lost} of {len(load.acknowledged)}")


def wait_until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_GUARD
    while not claim():
        assert time.monotonic() < deadline, "nothing happens any more"
        time.sleep(0.05)
