"""A webhook never leads inside: not by an address, not by a name, not by a name that changes its mind."""

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address, ip_network

import pytest
from structlog.testing import capture_logs

from ledger.webhooks.addresses import AddressRefused, GuardedBackend, Resolver, check, is_public, meant
from ledger.webhooks.sending import Sender
from ledger.webhooks.targets import BadTarget, target_of
from tests.builders import NOW
from tests.support.certificates import Authority, certified
from tests.support.receiver import Receiver, answering, receiving

HERE = ip_network("127.0.0.0/8")

INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1"),
    *("198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "192.88.99.1"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1"),
    *("3fff::1", "5f00::1"),
]
OUTSIDE = [
    *("1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "64:ff9b::101:101"),
    *("::ffff:1.1.1.1",),
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        check("hooks.example.org", address, [], is_plain=False)

    assert refused.value.context == {"host": "hooks.example.org", "address": address}


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_sent_to(address: str) -> None:
    check("hooks.example.org", address, [], is_plain=False)


@pytest.mark.parametrize("address", OUTSIDE)
def test_without_tls_nothing_outside_is_sent_to(address: str) -> None:
    with pytest.raises(AddressRefused):
        check("hooks.example.org", address, [HERE], is_plain=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
@pytest.mark.parametrize("is_plain", [True, False])
def test_a_network_of_ours_is_sent_to_once_it_is_allowed(address: str, is_plain: bool) -> None:  # noqa: FBT001
    check("hooks.example.org", address, [HERE], is_plain=is_plain)


def test_allowing_one_network_allows_no_other() -> None:
    with pytest.raises(AddressRefused):
        check("hooks.example.org", "10.0.0.1", [HERE], is_plain=False)


def test_a_wrapped_address_is_what_it_wraps() -> None:
    assert meant(ip_address("::ffff:10.0.0.1")) == ip_address("10.0.0.1")
    assert is_public(meant(ip_address("64:ff9b::101:101")))


async def tried(url: str, addresses: Sequence[str], *, allowed: Sequence[str] = ()) -> str | None:
    """Send to a name that has these addresses; what went wrong."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    sender = Sender([ip_network(one) for one in allowed], resolve=resolve, step_seconds=1, attempt_seconds=2)
    try:
        return (await sender.post(url, [], b"{}", now=NOW)).error
    finally:
        await sender.close()


@pytest.mark.parametrize("url", ["https://localhost:1/", "https://0x7f.1:1/", "https://2130706433:1/"])
async def test_a_name_that_means_this_machine_is_refused(url: str) -> None:
    sender = Sender([])
    try:
        assert (await sender.post(url, [], b"{}", now=NOW)).error == "webhook-address-refused"
    finally:
        await sender.close()


async def test_one_address_inside_among_those_of_a_name_is_one_too_many() -> None:
    assert await tried("https://mixed.example/", ["93.184.215.14", "10.0.0.1"]) == "webhook-address-refused"


async def test_a_name_that_does_not_resolve_is_a_failure_like_any() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    sender = Sender([], resolve=unknown)
    assert (await sender.post("https://unknown.example/", [], b"", now=NOW)).error == "cannot-connect"
    await sender.close()


@pytest.mark.parametrize("host", ["a" * 64, "a..b.example", ".example"])
async def test_a_name_that_no_look_up_takes_is_a_failure_like_any(host: str) -> None:
    sender = Sender([])
    assert (await sender.post(f"https://{host}/", [], b"", now=NOW)).error == "cannot-connect"
    await sender.close()


async def test_what_a_library_does_not_understand_is_a_failure_like_any(receiver: Receiver) -> None:
    """TLS takes no name that begins with a dot."""
    with capture_logs() as logs:
        error = await tried(f"https://.example:{receiver.port}/", ["127.0.0.1"], allowed=["127.0.0.0/8"])

    assert error == "broken"
    assert [one["event"] for one in logs] == ["webhook.attempt.broken"]


async def test_a_name_without_addresses_is_a_failure_like_any() -> None:
    assert await tried("https://empty.example/", []) == "cannot-connect"


async def test_the_next_address_is_tried_where_nobody_answers(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "hooks.example")

    assert await tried(url, ["127.0.0.2", "127.0.0.1"], allowed=["127.0.0.0/8"]) is None
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(receiver: Receiver) -> None:
    """DNS rebinding: the second look-up, which would mean another address, never happens."""
    looked_up = []

    async def changing(host: str, _port: int) -> Sequence[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.9"]

    sender = Sender([ip_network("127.0.0.1/32")], resolve=changing, step_seconds=1)
    url = receiver.url.replace("127.0.0.1", "rebinding.example")
    receiver.answer = lambda _: answering(204, "connection: close")

    first = await sender.post(url, [], b"{}", now=NOW)
    second = await sender.post(url, [], b"{}", now=NOW)

    assert (first.error, second.error) == (None, "webhook-address-refused")
    assert looked_up == ["rebinding.example", "rebinding.example"]
    assert len(receiver.received) == 1
    await sender.close()


async def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, receiver.url)

    assert await tried("https://inside.example/", ["10.0.0.1"]) == "webhook-address-refused"
    assert receiver.received == []


async def test_tls_is_verified_by_the_name_while_the_connection_goes_to_the_address() -> None:
    authority = Authority()

    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with receiving(certified(authority, "hooks.example")) as receiver:
        trusting = ssl.create_default_context(cadata=authority.certificate())
        sender = Sender([HERE], tls=trusting, resolve=here)
        good = await sender.post(f"https://hooks.example:{receiver.port}/", [], b"{}", now=NOW)
        wrong = await sender.post(f"https://other.example:{receiver.port}/", [], b"{}", now=NOW)
        await sender.close()
        doubting = Sender([HERE], resolve=here)
        unknown = await doubting.post(f"https://hooks.example:{receiver.port}/", [], b"{}", now=NOW)
        await doubting.close()

    assert good.error is None
    assert (wrong.error, unknown.error) == ("certificate-not-verified", "certificate-not-verified")
    assert len(receiver.received) == 1


async def refuse(tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Shake hands as far as it goes, and say why it went no further."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaking = tls.wrap_bio(incoming, outgoing, server_side=True)
    is_willing = True
    while is_willing:
        try:
            shaking.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            is_willing = False
        writer.write(outgoing.read())
        incoming.write(await reader.read(2**16))
    writer.close()


async def test_a_receiver_that_wants_a_certificate_of_ours_is_a_failure_like_any() -> None:
    """By TLS 1.3 it says so only after the handshake, to whoever reads."""
    authority = Authority()
    wanting = certified(authority, "hooks.example")
    wanting.verify_mode = ssl.CERT_REQUIRED

    async def here(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(partial(refuse, wanting), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cadata=authority.certificate())
    sender = Sender([HERE], tls=trusting, resolve=here, step_seconds=1)
    outcome = await sender.post(f"https://hooks.example:{port}/", [], b"{}", now=NOW)
    await sender.close()
    server.close()

    assert outcome.error == "connection-lost"


async def test_this_machines_own_names_resolve() -> None:
    assert "127.0.0.1" in await Resolver().addresses("127.0.0.1", 443)


def test_plain_http_is_for_installations_that_allow_a_network() -> None:
    with pytest.raises(BadTarget):
        target_of("http://hooks.example.org/", [])
    assert target_of("http://hooks.example.org/", [HERE]).origin == "http://hooks.example.org"
    with pytest.raises(AddressRefused):
        target_of("http://93.184.215.14/", [HERE])


@pytest.mark.parametrize("host", ["a" * 64, "a..b.example", ".example", ".", "example.."])
def test_a_name_that_no_look_up_takes_is_no_target(host: str) -> None:
    with pytest.raises(BadTarget):
        target_of(f"https://{host}/", [])


@pytest.mark.parametrize("host", ["a" * 63 + ".example", "hooks.example.org.", "m\u00fcnchen.example"])
def test_a_name_of_parts_as_long_as_they_may_be_is_a_target(host: str) -> None:
    assert target_of(f"https://{host}/", []).url == f"https://{host}/"


def test_what_may_be_told_of_a_url_is_where_it_leads() -> None:
    assert target_of("https://hooks.example.org:8443/secret?key=1", []).origin == (
        "https://hooks.example.org:8443"
    )
    assert target_of("https://[2606:4700:4700::1111]/x", []).origin == "https://[2606:4700:4700::1111]"


async def test_a_backend_refuses_before_it_connects() -> None:
    backend = GuardedBackend([], is_plain=False)

    with pytest.raises(AddressRefused):
        await backend.connect_tcp("127.0.0.1", 1, timeout=1.0)
