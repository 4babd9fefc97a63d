"""Accounts from the command line."""

import asyncio
import io
import json

import pyotp
import pytest

from ledger.cli import user
from ledger.cli.operating import by_operator, operating
from ledger.cli.refusals import explain
from ledger.cli.user import AccountRefused
from ledger.domain.account.decide import AccountNotFound, LastAdmin
from ledger.domain.account.placing import MalformedGroupName, NotAnAnalyst
from ledger.domain.authority import Role
from ledger.identity import people, second_factor
from ledger.identity.login import login
from ledger.identity.registering import UsernameTaken
from ledger.identity.session_rows import Client
from ledger.identity.sessions import authenticate
from tests.support.databases import Database

PASSWORD = "correct horse battery staple"


def add(username: str, role: Role = Role.ANALYST) -> None:
    user.add(username, email=f"{username}@example.org", full_name="[b]Bo", role=role, generate=True)


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    user.show(json=True)
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_who_was_added_is_listed(installed: Database, capsys: pytest.CaptureFixture[str]):
    add("boss", Role.ADMIN)
    said = capsys.readouterr().out
    assert "boss is in, as admin." in said
    assert len(said.partition("Password: ")[2].split()[0]) == 24
    (boss,) = listed(capsys)
    assert boss.pop("registered_at")
    assert boss == {
        "username": "boss",
        "role": "admin",
        "is_active": True,
        "is_lead": False,
        "groups": [],
        "second_factor": False,
        "full_name": "[b]Bo",
        "email": "boss@example.org",
    }
    user.show()
    table = capsys.readouterr().out
    assert "[b]Bo" in table  # no markup
    assert "active" in table


def test_a_list_that_is_not_read_on_a_terminal_cuts_no_address(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    address = f"{'long' * 15}@{'example.' * 8}org"
    user.add("boss", email=address, full_name="Bo " * 30, role=Role.ADMIN, generate=True)
    capsys.readouterr()

    user.show()

    assert address in capsys.readouterr().out


def test_a_name_is_taken_once(installed: Database):
    add("boss")
    with pytest.raises(UsernameTaken):
        add("BOSS")


def test_who_is_deactivated_once_is_so(installed: Database, capsys: pytest.CaptureFixture[str]):
    add("boss", Role.ADMIN)
    add("second", Role.ADMIN)
    capsys.readouterr()
    user.deactivate("second", reason="left")
    user.deactivate("second", reason="left")
    assert capsys.readouterr().out == "second is deactivated.\nsecond was deactivated before.\n"
    assert [row["is_active"] for row in listed(capsys)] == [True, False]


def test_who_is_put_into_groups_is_in_them(installed: Database, capsys: pytest.CaptureFixture[str]):
    add("sam")
    capsys.readouterr()
    user.groups("sam", "tier-2", "malware", reason="new team")
    user.groups("sam", "malware", "tier-2", reason="new team")
    assert capsys.readouterr().out == "sam is in malware, tier-2.\nsam was in malware, tier-2 before.\n"
    assert [row["groups"] for row in listed(capsys)] == [["malware", "tier-2"]]
    user.show()
    assert "malware, tier-2" in capsys.readouterr().out

    user.groups("sam", reason="left the team")
    user.groups("sam", reason="left the team")
    assert capsys.readouterr().out == "sam is in no group.\nsam was in no group before.\n"
    with pytest.raises(MalformedGroupName):
        user.groups("sam", "Tier 2", reason="x")
    with pytest.raises(AccountNotFound):
        user.groups("nobody", "tier-2", reason="x")
    with pytest.raises(AccountRefused, match="says why"):
        user.groups("sam", "tier-2", reason=" ")


def test_who_is_made_a_lead_is_one_until_it_is_taken_back(
    installed: Database, capsys: pytest.CaptureFixture[str]
):
    add("sam")
    add("boss", Role.ADMIN)
    capsys.readouterr()
    user.lead("sam", reason="runs the shift")
    user.lead("sam", reason="runs the shift")
    assert capsys.readouterr().out == "sam is a lead now.\nsam was a lead before.\n"
    user.show()
    assert "analyst, lead" in capsys.readouterr().out

    user.lead("sam", revoke=True, reason="left the shift")
    user.lead("sam", revoke=True, reason="left the shift")
    assert capsys.readouterr().out == "sam is no lead now.\nsam was no lead before.\n"
    assert [row["is_lead"] for row in listed(capsys)] == [False, False]
    with pytest.raises(NotAnAnalyst):
        user.lead("boss", reason="x")


def with_factor(username: str) -> None:
    """Let somebody set a second factor up and prove it."""

    async def enable() -> None:
        async with operating() as services:
            identity = services.identity
            found = await people.find(services.ledger.pool, services.ledger.ledger_id, username)
            assert found is not None
            client = Client(address="192.0.2.7", user_agent="a browser")
            done = await login(identity, username=username, password=PASSWORD, client=client)
            principal = await authenticate(identity, done.access_token)
            made = await second_factor.setup(identity, found.person)
            code = pyotp.TOTP(made.secret).at(services.clock())
            await second_factor.enable(identity, principal, code, by_operator())

    asyncio.run(enable())


def test_a_lost_second_factor_is_taken_away(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    user.add("boss", email="boss@example.org", full_name="", password_stdin=True)
    with_factor("boss")
    assert [row["second_factor"] for row in listed(capsys)] == [True]
    user.forget_factor("boss", reason="lost phone")
    user.forget_factor("boss", reason="lost phone")

    said = capsys.readouterr().out
    assert said == "boss has no second factor any more.\nboss had no second factor.\n"
    assert [row["second_factor"] for row in listed(capsys)] == [False]
    with pytest.raises(AccountNotFound):
        user.forget_factor("nobody", reason="x")
    with pytest.raises(AccountRefused, match="says why"):
        user.forget_factor("boss", reason=" ")


def test_the_last_administrator_stays(installed: Database):
    add("boss", Role.ADMIN)
    add("sam")
    with pytest.raises(LastAdmin) as refused:
        user.deactivate("boss", reason="left")
    said = explain(refused.value)
    assert len(said) == 1  # and no id, which nobody could make anything of
    assert "person" not in said[0]


def test_nobody_cannot_be_deactivated(installed: Database):
    with pytest.raises(AccountNotFound):
        user.deactivate("nobody", reason="left")
    with pytest.raises(AccountRefused):
        user.deactivate("nobody", reason=" ")


def test_everything_that_is_wrong_with_an_account_is_told_at_once():
    with pytest.raises(AccountRefused) as refused:
        user.add(" x", email="nowhere", full_name="n" * 201, generate=True, password_stdin=True)
    assert sorted(refused.value.context) == ["email", "full_name", "password", "username"]


def test_a_password_comes_from_standard_input(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\r\nnot this\n"))
    user.add("sam", email="sam@example.org", full_name="Sam", password_stdin=True)
    assert PASSWORD not in capsys.readouterr().out


@pytest.mark.parametrize("given", ["short\n", "", "x" * 1001])
def test_a_password_has_bounds(monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    with pytest.raises(AccountRefused, match="8 to 1000 characters"):
        user.add("sam", email="sam@example.org", full_name="Sam", password_stdin=True)


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    with pytest.raises(AccountRefused, match="give --password-stdin or --generate"):
        user.add("sam", email="sam@example.org", full_name="Sam")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_password_is_asked_for_twice(installed: Database, monkeypatch: pytest.MonkeyPatch):
    answers = iter((PASSWORD, "another one", PASSWORD, PASSWORD))
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(user, "getpass", lambda _: next(answers))
    with pytest.raises(AccountRefused, match="they differ"):
        user.add("sam", email="sam@example.org", full_name="Sam")
    assert user.add("sam", email="sam@example.org", full_name="Sam") == 0


def test_many_are_listed_page_by_page(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(user, "PAGE", 1)
    add("boss")
    add("sam")
    assert [row["username"] for row in listed(capsys)] == ["boss", "sam"]


def test_what_was_left_out_is_asked_for_on_a_terminal(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    add("boss", Role.ADMIN)
    monkeypatch.setattr("sys.stdin", Terminal("sam@example.org\nSam of the night shift\nleft\n"))
    user.add("sam", generate=True)
    user.deactivate("sam")
    sam = listed(capsys)[1]
    assert (sam["email"], sam["full_name"], sam["is_active"]) == (
        "sam@example.org",
        "Sam of the night shift",
        False,
    )


def test_where_nobody_can_be_asked_everything_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(AccountRefused, match=r"missing=--email, --full-name\)"):
        user.add("sam", generate=True)
    with pytest.raises(AccountRefused, match=r"missing=--full-name, --password-stdin or --generate\)"):
        user.add("sam", email="sam@example.org")
    with pytest.raises(AccountRefused, match=r"missing=--reason"):
        user.deactivate("sam")


@pytest.mark.parametrize("full_name", ["Bo\x1b[1m", "Bo\u202e"])
def test_a_name_that_hides_something_is_refused(full_name: str):
    with pytest.raises(AccountRefused, match="nobody sees"):
        user.add("boss", email="boss@example.org", full_name=full_name, generate=True)


def test_a_password_that_is_easy_to_guess_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("password123\n"))

    with pytest.raises(AccountRefused, match="easy to guess"):
        user.add("boss", email="boss@example.org", full_name="", password_stdin=True)
