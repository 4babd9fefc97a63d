"""Whose signatures are believed, what a log goes on from, how recent it is."""

from pathlib import Path

import pytest

from ledger.verifier.verdict import Verdict
from tests.support.bundles import (
    BOB,
    SEEN_AT,
    THE_LOG,
    WITNESSES,
    Bundle,
    add_up,
    changed,
    checkpoint,
    hashes_of,
    on,
    policy,
    seal,
)
from tests.support.noting import Signatory
from tests.verifier.asking import HISTORY, LONG, STREAMS, found, verify

# Policies, earlier checkpoints, age.


def test_a_checkpoint_by_a_log_that_the_policy_does_not_know_is_not_accepted(written: Path):
    stranger = Signatory(name="ledger.example/other")

    report = verify(written, text=policy().replace(THE_LOG.vkey, stranger.vkey))

    assert (report.verdict, found(report)[0]) == (Verdict.POLICY_NOT_MET, "no-log-signature")


def test_a_key_that_the_policy_does_not_know_is_named_beside_those_that_it_knows(written: Path):
    other = Signatory(name=THE_LOG.name, number=2)

    report = verify(written, text=policy().replace(THE_LOG.vkey, other.vkey))

    facts = report.found[0].facts
    assert facts["signed_by"] == [f"{THE_LOG.name}+{THE_LOG.key_id.hex()}"]
    assert facts["logs"] == [f"{THE_LOG.name}+{other.key_id.hex()}"]


QUORUM = "group all-three 2 A B C\nquorum all-three"


@pytest.mark.parametrize(("count", "verdict"), [(1, Verdict.POLICY_NOT_MET), (2, Verdict.VERIFIED)])
def test_a_quorum_of_witnesses_is_asked_for(count: int, verdict: Verdict, tmp_path: Path):
    folder = Bundle(sealed=list(HISTORY), witnesses=WITNESSES[:count]).write(tmp_path / "bundle")

    report = verify(folder, text=policy(quorum=QUORUM, witnesses=WITNESSES))

    assert report.verdict is verdict


@pytest.mark.parametrize("size", [1, 255, 256, 300, 512, 659, 660])
def test_a_bundle_goes_on_from_an_earlier_checkpoint(size: int, tmp_path: Path):
    folder = Bundle(sealed=LONG).write(tmp_path / "bundle")

    report = verify(folder, since=checkpoint(hashes_of(LONG[:size])))

    assert (report.verdict, report.since) == (Verdict.VERIFIED, size)


def test_another_history_at_an_earlier_checkpoint_is_a_fork(tmp_path: Path):
    other = on(*(STREAMS * 55))
    other[100].actor = BOB
    folder = Bundle(sealed=LONG).write(tmp_path / "bundle")

    report = verify(folder, since=checkpoint(hashes_of(seal(other)[:300])))

    assert (report.verdict, found(report)[0]) == (Verdict.FORK, "history-differs")


def test_a_log_that_was_larger_before_is_a_fork(written: Path):
    report = verify(written, since=checkpoint(hashes_of(seal(on(*STREAMS, "a")))))

    assert (report.verdict, found(report)[0]) == (Verdict.FORK, "log-shrunk")


@pytest.mark.parametrize(("events", "code"), [(3, "history-differs"), (20, "log-shrunk")])
def test_a_checkpoint_of_another_log_of_the_policy_is_told_by_both_names(
    events: int, code: str, written: Path
):
    """A log that was renamed goes on, and an auditor of two logs may have taken the wrong checkpoint."""
    by = Signatory(name="ledger.example/other")
    other = hashes_of(seal(on(*("b" * events))))

    report = verify(written, text=f"log {by.vkey}\n{policy()}", since=checkpoint(other, by=by))

    assert (report.verdict, found(report)[0]) == (Verdict.FORK, code)
    assert report.found[0].facts["older_origin"] == "ledger.example/other"
    assert report.found[0].facts["newer_origin"] == THE_LOG.name
    assert "of two logs by name" in str(report.found[0].facts["hint"])


def test_an_earlier_checkpoint_that_the_log_did_not_sign_says_nothing(written: Path):
    by = Signatory(name="ledger.example/other")

    report = verify(written, since=checkpoint(hashes_of(HISTORY[:3]), by=by))

    assert report.verdict is Verdict.POLICY_NOT_MET


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (3600, Verdict.VERIFIED),
        (3601, Verdict.POLICY_NOT_MET),
        (-300, Verdict.VERIFIED),
        (-301, Verdict.POLICY_NOT_MET),
    ],
)
def test_how_recent_it_is_is_what_the_newest_witness_says(age: int, verdict: Verdict, tmp_path: Path):
    folder = Bundle(sealed=list(HISTORY), witnesses=WITNESSES[:1]).write(tmp_path / "bundle")

    report = verify(folder, text=policy(quorum="A", witnesses=WITNESSES), max_age=3600, now=SEEN_AT + age)

    assert report.verdict is verdict


def test_without_a_witness_nobody_says_how_recent_it_is(written: Path):
    assert verify(written, max_age=10**9).verdict is Verdict.POLICY_NOT_MET


def test_a_folder_that_is_no_bundle_is_not_usable(tmp_path: Path):
    assert verify(tmp_path / "nowhere").verdict is Verdict.UNUSABLE


def test_a_bundle_of_another_format_is_not_usable(written: Path):
    changed(written / "manifest.json", lambda raw: raw.replace(b'"format": 1', b'"format": 2'))
    add_up(written)

    assert verify(written).verdict is Verdict.UNUSABLE
