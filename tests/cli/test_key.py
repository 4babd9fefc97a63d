"""API keys from the command line: a first machine without any curl."""

import json
from uuid import uuid4

import pytest

from ledger.cli import key, user
from ledger.cli.commands import app
from ledger.cli.key import KeyRefused
from ledger.domain.account.decide import KeyNotFound, NotAServiceAccount
from ledger.domain.account.events import Scope
from ledger.domain.authority import Role
from tests.support.databases import Database


def add(username: str, role: Role) -> None:
    user.add(username, email=f"{username}@example.org", full_name="", role=role, generate=True)


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    key.show(json=True)
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_a_key_is_issued_listed_and_revoked(installed: Database, capsys: pytest.CaptureFixture[str]):
    add("engine", Role.SERVICE)
    capsys.readouterr()
    key.issue("engine", name="[b]base\x1b[1m", scope=("decisions:submit",), days=30)
    secret = capsys.readouterr().out.split()[1]
    assert secret.startswith("ldk_")

    (shown,) = listed(capsys)
    assert secret.startswith(str(shown["prefix"]))
    assert (shown["username"], shown["name"], shown["scopes"]) == (
        "engine",
        "[b]base\x1b[1m",
        ["decisions:submit"],
    )
    key.show()
    table = capsys.readouterr().out
    assert "[b]base\N{REPLACEMENT CHARACTER}[1m" in table  # neither markup nor an escape sequence
    assert "never" in table
    assert secret not in table

    key.revoke(str(shown["key_id"]), reason="leaked")
    assert listed(capsys) == []


def test_a_list_that_is_not_read_on_a_terminal_cuts_no_id(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    add("engine", Role.SERVICE)
    key.issue("engine", name="basement", scope=("decisions:read",))
    (shown,) = listed(capsys)

    key.show()

    _, row = capsys.readouterr().out.splitlines()
    assert row.split() == [
        *(shown["key_id"], shown["prefix"], "engine", "basement", "decisions:read"),
        *("always", "never"),  # good until it is revoked, and not used yet
    ]


def test_scopes_are_typed_as_they_are_told():
    words = ["key", "issue", "engine", "--scope", "decisions:submit", "--scope", "decisions:read"]

    _, given, _ = app.parse_args(words, exit_on_error=False, print_error=False)

    assert set(given.arguments["scope"]) == {scope.value for scope in Scope}


def test_a_person_gets_none(installed: Database):
    add("sam", Role.ANALYST)

    with pytest.raises(NotAServiceAccount):
        key.issue("sam")


def test_a_key_that_never_was_is_not_found(installed: Database):
    with pytest.raises(KeyNotFound):
        key.revoke(str(uuid4()), reason="x")


@pytest.mark.parametrize("days", [0, 3651])
def test_what_is_no_number_of_days_is_refused(days: int):
    with pytest.raises(KeyRefused, match="1 to 3650"):
        key.issue("engine", days=days)


def test_what_is_too_long_blank_or_no_id_is_refused():
    with pytest.raises(KeyRefused, match="100"):
        key.issue("engine", name="n" * 101)
    with pytest.raises(KeyRefused, match="key list"):
        key.revoke("nonsense", reason="x")
    with pytest.raises(KeyRefused, match="says why"):
        key.revoke(str(uuid4()), reason=" ")
