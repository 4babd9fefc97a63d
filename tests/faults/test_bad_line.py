"""The line to the database is bad: slow, broken off in the middle of answers, or dead without a word."""

import time
from collections.abc import Callable

import pytest

from tests.support.outside import Outside
from tests.support.proxy import Outlet
from tests.support.reliability import Row
from tests.support.traffic import Traffic

pytestmark = [pytest.mark.processes, pytest.mark.long]

CUT = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'ledger_service'"


def test_connections_are_cut(load: Traffic, server: Outside, line: Outlet, record: Callable[[Row], None]):
    with load.trouble() as trouble:
        for _ in range(3):
            server.ask(CUT)
            time.sleep(0.3)
            line.do(line.proxy.cut_all)
            time.sleep(0.3)
        trouble.over()
    trouble.check(within=10)
    record(trouble.row("connections are cut, by the server and on the way, six times in two seconds"))


def test_answers_are_late(load: Traffic, line: Outlet, record: Callable[[Row], None]):
    with load.trouble() as trouble:
        line.do(line.proxy.delay, 0.2)
        time.sleep(5)
        line.do(line.proxy.heal)
        trouble.over()
    trouble.check(within=30)
    record(trouble.row("every answer of the database is 0.2 s late, for five seconds"))


def test_answers_break_off(load: Traffic, line: Outlet, record: Callable[[Row], None]):
    with load.trouble() as trouble:
        line.do(line.proxy.truncate, 40)
        time.sleep(4)
        line.do(line.proxy.truncate, 0)
        time.sleep(2)
        line.do(line.proxy.heal)
        trouble.over()
    trouble.check(within=30)
    record(
        trouble.row("answers break off in the middle, later ones at first, then every one, for six seconds")
    )


def test_nothing_gets_through(load: Traffic, line: Outlet, record: Callable[[Row], None]):
    with load.trouble() as trouble:
        line.do(line.proxy.block)
        time.sleep(15)
        line.do(line.proxy.heal)
        trouble.over()
    trouble.check(within=20)
    record(trouble.row("nothing gets through and nothing is said, for 15 seconds"))
