"""A time stamp counts when an authority of the auditor's own has stamped a checkpoint of this very log."""

from pathlib import Path

import pytest

from ledger.verifier.bundle import Asked, verify_bundle
from ledger.verifier.policy import parse_policy
from ledger.verifier.report import Report
from ledger.verifier.stamps import AuthorityMalformed, parse_authorities
from ledger.verifier.verdict import Verdict
from tests.support.authority import Authority, authority_in
from tests.support.bundles import (
    BOB,
    SEEN_AT,
    WITNESSES,
    Bundle,
    add_up,
    checkpoint,
    hashes_of,
    on,
    policy,
    seal,
)
from tests.support.noting import Signatory

EVENTS = "abcabbcadeab"
HISTORY = seal(on(*EVENTS))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority_in(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Bundle(sealed=list(HISTORY), witnesses=WITNESSES).write(tmp_path / "bundle")


def put(bundle: Path, **files: bytes) -> None:
    (bundle / "timestamps").mkdir(exist_ok=True)
    for name, content in files.items():
        size, _, ending = name.removeprefix("of_").partition("_")
        (bundle / "timestamps" / f"{size}.{ending}").write_bytes(content)
    add_up(bundle)


def verify(bundle: Path, authority: Authority | None) -> Report:
    authorities = None if authority is None else parse_authorities(authority.certificate.read_bytes())
    return verify_bundle(
        bundle, Asked(policy=parse_policy(policy().encode()), now=SEEN_AT, authorities=authorities)
    )


def test_a_stamp_of_the_logs_own_note_holds_though_witnesses_have_cosigned_since(
    bundle: Path, authority: Authority
):
    put(bundle, of_12_tsr=authority.stamp(checkpoint(hashes_of(HISTORY))))

    report = verify(bundle, authority)

    assert report.verdict is Verdict.VERIFIED
    assert [stamp.size for stamp in report.stamps] == [12]


def test_a_stamp_of_an_earlier_checkpoint_holds_where_that_is_beside_it(bundle: Path, authority: Authority):
    earlier = checkpoint(hashes_of(HISTORY[:5]))
    put(bundle, of_5_tsr=authority.stamp(earlier), of_5_checkpoint=earlier)

    assert [stamp.size for stamp in verify(bundle, authority).stamps] == [5]


def test_a_bundle_without_the_stamps_that_were_asked_for_is_incomplete(bundle: Path, authority: Authority):
    report = verify(bundle, authority)

    assert (report.verdict, report.missing) == (
        Verdict.INCOMPLETE,
        ["time stamps: there is none in the bundle"],
    )


def test_without_authorities_stamps_are_counted_and_not_believed(bundle: Path):
    put(bundle, of_12_tsr=b"anything")

    report = verify(bundle, None)

    assert (report.verdict, report.stamps, report.stamps_unread) == (Verdict.VERIFIED, [], 1)


def test_a_stamp_of_something_else_is_wrong(bundle: Path, authority: Authority):
    put(bundle, of_12_tsr=authority.stamp(b"something else"))

    assert verify(bundle, authority).found[0].code == "stamp-wrong"


def test_a_stamp_that_is_none_is_wrong(bundle: Path, authority: Authority):
    put(bundle, of_12_tsr=b"anything")

    assert verify(bundle, authority).found[0].code == "stamp-wrong"


def test_a_stamp_by_another_authority_is_wrong(bundle: Path, authority: Authority, tmp_path: Path):
    other = authority_in(tmp_path / "other")
    put(bundle, of_12_tsr=other.stamp(checkpoint(hashes_of(HISTORY))))

    assert verify(bundle, authority).found[0].code == "stamp-wrong"


def test_a_stamp_without_what_it_is_of_is_wrong(bundle: Path, authority: Authority):
    put(bundle, of_5_tsr=authority.stamp(checkpoint(hashes_of(HISTORY[:5]))))

    assert verify(bundle, authority).found[0].facts == {
        "file": "timestamps/5.tsr",
        "reason": "the checkpoint that was stamped is not beside it",
    }


def test_a_stamped_checkpoint_of_another_history_is_a_fork(bundle: Path, authority: Authority):
    events = on(*EVENTS)
    events[2].actor = BOB
    earlier = checkpoint(hashes_of(seal(events)[:5]))
    put(bundle, of_5_tsr=authority.stamp(earlier), of_5_checkpoint=earlier)

    assert verify(bundle, authority).verdict is Verdict.FORK


def test_a_stamped_checkpoint_that_the_log_did_not_sign_is_not_accepted(bundle: Path, authority: Authority):
    by = Signatory(name="ledger.example/other")
    earlier = checkpoint(hashes_of(HISTORY[:5]), by=by)
    put(bundle, of_5_tsr=authority.stamp(earlier), of_5_checkpoint=earlier)

    assert verify(bundle, authority).verdict is Verdict.POLICY_NOT_MET


def test_a_file_without_certificates_names_no_authority():
    with pytest.raises(AuthorityMalformed):
        parse_authorities(b"nothing")
