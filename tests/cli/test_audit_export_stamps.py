"""Time stamps in a bundle: those that say something of it, each beside the checkpoint that was stamped."""

from datetime import timedelta
from pathlib import Path

import pytest

from ledger.cli.exporting.bundle import write_bundle
from ledger.cli.exporting.from_database import FromDatabase
from ledger.cli.exporting.source import Stamp, Wanted, Wish, telling
from ledger.domain.export.events import Tier
from ledger.identity.identity import SUBJECT_KEY_PURPOSE
from ledger.identity.keys import Keyring
from ledger.sealing.asking import Outbound
from ledger.sealing.stamping import Stamping
from ledger.store.ledger import Ledger
from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.policy import parse_policy
from ledger.verifier.stamps import parse_authorities
from ledger.verifier.verdict import Verdict
from tests.support.authority import Authority, authority_in
from tests.support.receiver import receiving
from tests.support.sealed_log import SIGNER, seal
from tests.support.sealing import append_some, utc_now
from tests.support.stamping import answer_of, openssl_verifies

KEYRING = Keyring(["a key for tests that is long enough"], SUBJECT_KEY_PURPOSE)
POLICY = parse_policy(f"log {SIGNER.vkey}\nquorum none\n".encode())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return authority_in(tmp_path / "authority")


async def stamped(ledger: Ledger, authority: Authority, *counts: int) -> None:
    """Append so many events, seal them, have them stamped; and again."""
    async with receiving() as receiver, Outbound() as outbound:
        receiver.answer = lambda received: answer_of(authority, received)
        stamping = Stamping(ledger, receiver.url, utc_now, interval=timedelta(0))
        for count in counts:
            await append_some(ledger, count)
            await seal(ledger)
            assert await stamping.stamp_due(outbound)


async def test_a_bundle_verifies_with_its_stamps_by_the_tool_and_by_openssl(
    ledger: Ledger, authority: Authority, tmp_path: Path
):
    await stamped(ledger, authority, 3, 4)
    await append_some(ledger, 2)
    await seal(ledger)

    bundle = tmp_path / "bundle"
    wanted = Wanted(tier=Tier.ENVELOPE, first=1, last=9)
    await write_bundle(FromDatabase(ledger, KEYRING), wanted, bundle, now=utc_now())

    believed = parse_authorities(authority.certificate.read_bytes())
    now = int(utc_now().timestamp())
    report = verify_bundle(bundle, Asked(policy=POLICY, now=now, authorities=believed))
    assert (report.verdict, report.found) == (Verdict.VERIFIED, [])
    assert [stamp.size for stamp in report.stamps] == [3, 7]
    files = sorted(path.name for path in (bundle / "timestamps").iterdir())
    assert files == ["3.checkpoint", "3.tsr", "7.checkpoint", "7.tsr"]
    token, note = (bundle / "timestamps" / "7.tsr"), (bundle / "timestamps" / "7.checkpoint")
    assert openssl_verifies(authority, token.read_bytes(), note.read_bytes())


@pytest.mark.parametrize(
    ("first", "last", "chosen"),
    [
        (1, 100, [10, 20, 40, 80]),
        (1, 15, [10, 20]),
        (15, 15, [20]),
        (20, 20, [20]),
        (15, 40, [20, 40]),
        (81, 100, []),
    ],
)
def test_those_are_chosen_that_say_something_of_what_is_wanted(first: int, last: int, chosen: list[int]):
    stamps = [Stamp(size, f"note {size}", b"") for size in (10, 10, 20, 40, 80, 200)]
    wish = Wish(tier=Tier.ENVELOPE, first=first, last=last, size=100, note="")
    assert [stamp.size for stamp in telling(stamps, wish)] == chosen
