"""The port: taken early, opened late, explained when it cannot be had."""

import errno
import socket

import pytest

from ledger.cli.port import Ports, open_port, port_of, problem_with, take_port
from ledger.settings import Settings, SettingsRefused


def close(taken: list[socket.socket]) -> None:
    for one in taken:
        one.close()


def test_nobody_gets_in_until_the_port_is_opened():
    taken = take_port("127.0.0.1", 0)
    address = ("127.0.0.1", port_of(taken))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    open_port(taken)
    socket.create_connection(address).close()
    close(taken)


def test_every_address_of_a_host_gets_the_same_port():
    taken = take_port("localhost", 0)
    assert {one.getsockname()[1] for one in taken} == {port_of(taken)}
    close(taken)


def test_a_port_that_somebody_opened_is_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsRefused, match=f"port {port} of 127.0.0.1 is in use by another program"):
            take_port("127.0.0.1", port)


def test_of_two_that_start_at_once_the_second_is_refused():
    first = take_port("127.0.0.1", 0)
    second = take_port("127.0.0.1", port_of(first))
    open_port(first)
    with pytest.raises(SettingsRefused, match="is in use by another program"):
        open_port(second)
    close([*first, *second])


def test_a_host_that_is_not_ours_is_named():
    with pytest.raises(
        SettingsRefused, match=r"LEDGER_HOST: '192\.0\.2\.1' is no address that this machine can"
    ):
        take_port("192.0.2.1", 0)
    with pytest.raises(SettingsRefused, match=r"LEDGER_HOST: 'nowhere\.invalid' is no address"):
        take_port("nowhere.invalid", 0)


def test_a_port_of_metrics_that_cannot_be_had_is_told_by_its_own_name():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = Ports()
        problems = [str(problem) for problem in ports.take(Settings(port=0, metrics_port=port), None)]
    close(ports.service)
    assert [problem.partition(";")[0] for problem in problems] == [
        f"LEDGER_METRICS_PORT: port {port} of 127.0.0.1 is in use by another program"
    ]


@pytest.mark.parametrize(
    ("only", "metrics_port", "expected"),
    [
        (None, None, (1, 0)),
        (None, 0, (1, 1)),
        ("api", 0, (1, 1)),
        ("workers", None, (0, 0)),
        ("workers", 0, (0, 1)),
    ],
)
def test_workers_have_no_port_but_that_of_metrics(only, metrics_port, expected):
    ports = Ports()
    assert list(ports.take(Settings(port=0, metrics_port=metrics_port), only)) == []
    assert (len(ports.service), len(ports.metrics)) == expected
    close([*ports.service, *ports.metrics])


def test_privileged_ports_are_explained():
    refused = problem_with("127.0.0.1", 80, OSError(errno.EACCES, "Permission denied"))
    assert str(refused) == "LEDGER_PORT: port 80 is for privileged users; choose one above 1023."
