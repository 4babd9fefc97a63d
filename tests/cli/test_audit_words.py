"""What a verification says, in words."""

import pytest

from ledger.cli.audit.report import print_evidence, print_report
from ledger.verifier.report import Attested, Counted, Report, Stamped


def report(many: int) -> Report:
    attested = Attested(origin="ledger.test", size=many, root="00", log_key="11", quorum="none", cosigned={})
    return Report(
        attested=attested,
        since=many,
        stamps=[Stamped(size=many, seconds=0)],
        first=1,
        last=many,
        streams=many,
        streams_joined=many,
        payloads=many,
        stamps_unread=many,
        disclosed=Counted(names=many, names_erased=0, opened=many, unopened=0),
    )


@pytest.mark.parametrize(("many", "told"), [(1, "1 {}"), (2, "2 {}s")])
def test_one_is_told_as_one(capsys: pytest.CaptureFixture[str], many: int, told: str) -> None:
    print_report(report(many), as_json=False)
    print_evidence(report(many), as_json=False)

    said = capsys.readouterr().out
    assert f"ledger.test with {told.format('event')}, root" in said
    assert f"in {told.format('stream')}; {told.format('payload')}\n" in said
    assert f"of {told.format('event')}\n" in said
    assert f"its first {told.format('event')} existed" in said
    assert f"{told.format('event')} in all" in said
    for thing in ("event", "stream", "payload", "time stamp", "name", "sealed value"):
        assert (f" 1 {thing}s" in said) is False
