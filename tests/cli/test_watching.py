"""The witnesses that a policy file names, as the service takes them; and what it refuses in one."""

from datetime import timedelta
from pathlib import Path

import pytest

from ledger.cli.watching import problems_with_policy, watch_of
from ledger.sealing.notes import COSIGNATURE, Signer
from ledger.settings import Settings, SettingsRefused

LOG = Signer("log.example/1", bytes(32)).vkey
NORTH = Signer("north.example/w", bytes([1]) * 32, COSIGNATURE).vkey
SOUTH = Signer("south.example/w", bytes([2]) * 32, COSIGNATURE).vkey
GOOD = f"""# whom we believe
log {LOG}
witness north {NORTH} https://north.example/w/
witness south {SOUTH}
group both 2 north south
quorum both
"""


def settings_with(folder: Path, text: str | None) -> Settings:
    path = folder / "policy.txt"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    return Settings.load({"LEDGER_WITNESS_POLICY": str(path), "LEDGER_WITNESS_LATE_SECONDS": "60"})


def test_without_a_policy_nobody_is_asked():
    assert watch_of(Settings.load({})) is None


def test_witnesses_come_with_their_keys_and_addresses(tmp_path: Path):
    watch = watch_of(settings_with(tmp_path, GOOD))
    assert watch is not None
    assert [(one.name, one.key.vkey, one.url) for one in watch.witnesses] == [
        ("north", NORTH, "https://north.example/w/"),
        ("south", SOUTH, None),
    ]
    assert (watch.logs, watch.late_after) == ((LOG,), timedelta(minutes=1))


def test_the_quorum_is_that_of_the_file(tmp_path: Path):
    watch = watch_of(settings_with(tmp_path, GOOD))
    assert watch is not None
    assert [watch.quorum_met(frozenset(names)) for names in ([], ["north"], ["north", "south"])] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: no such file"),
        ("quorum none\n", "no log line"),
        (f"log {LOG}\n", "no quorum line"),
        (f"log {LOG}\nquorum all\n", "all is not defined above"),
        (f"log {LOG}\nwitness w {LOG}\nquorum w\n", "no verifier key"),
        (GOOD.replace("https://", "ftp://"), "needs a URL"),
        (GOOD.replace("https://north.example/w/", "north.example:8020"), "needs a URL"),
        (GOOD.replace("witness north", "witness n\udcff").replace("2 north", "2 n\udcff"), "printable"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_the_variable(tmp_path: Path, text: str | None, said: str):
    (problem,) = problems_with_policy(settings_with(tmp_path, text))
    assert problem.about == "LEDGER_WITNESS_POLICY"
    assert said in problem.advice


def test_an_authority_is_named_by_a_url_that_is_not_shown():
    with pytest.raises(SettingsRefused) as refused:
        Settings.load({"LEDGER_TIMESTAMP_URL": "user:secret@tsa.example.org"})
    (line,) = (str(problem) for problem in refused.value.problems)
    assert line == "LEDGER_TIMESTAMP_URL: must be a URL like https://tsa.example.org/timestamp."
