"""Kinds and policies from the command line: they are read there and changed nowhere but over HTTP."""

import asyncio
import json

import pytest

from ledger.cli import policy
from ledger.cli.commands import app
from ledger.domain.kind.state import KindNotFound
from ledger.store.ledger import Ledger
from tests.builders.kinds import PAYMENT, kind_registered, kind_retired
from tests.builders.policies import drafted, published, withdrawn
from tests.support.databases import Database
from tests.support.recorded import happened


@pytest.fixture
def filled(installed: Database) -> Database:
    async def fill() -> None:
        async with await Ledger.open(installed.service_url) as ledger:
            await happened(ledger, ledger.kind_stream(PAYMENT), kind_registered(title="[b]Money\x1b[1m"))
            await happened(ledger, ledger.kind_stream("old"), kind_registered("old"), kind_retired())
            await happened(
                ledger,
                ledger.policy_stream(PAYMENT),
                drafted(2, approvals_needed=2, deadline_seconds=60),
                published(2),
                drafted(3),
                drafted(4),
                withdrawn(4),
            )

    asyncio.run(fill())
    return installed


def test_the_kinds_are_listed(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    policy.kinds(json=True)
    found = json.loads(capsys.readouterr().out)

    assert [(one["kind"], one["is_built_in"], one["is_retired"]) for one in found] == [
        ("old", False, True),
        ("payment", False, False),
        ("threat_analysis", True, False),
    ]
    policy.kinds()
    table = capsys.readouterr().out
    assert "[b]Money\N{REPLACEMENT CHARACTER}[1m" in table
    assert "built in" in table


def test_what_holds_is_listed(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    policy.policies(json=True)
    found = {one["kind"]: one for one in json.loads(capsys.readouterr().out)}

    assert found["payment"]["policy_version"] == 2
    assert found["payment"]["published_by"] == "erased"  # nobody the people table knows
    assert found["threat_analysis"]["is_default"]
    policy.policies()
    table = capsys.readouterr().out
    assert "1 (default)" in table
    assert "60 s" in table


def test_the_versions_of_a_policy_are_shown(filled: Database, capsys: pytest.CaptureFixture[str]) -> None:
    policy.policy("payment", json=True)
    found = json.loads(capsys.readouterr().out)

    assert [one["standing"] for one in found["versions"]] == ["default", "in_force", "draft", "withdrawn"]
    policy.policy("payment")
    assert "too lax" in capsys.readouterr().out
    policy.policy("threat_analysis")
    assert "default" in capsys.readouterr().out


def test_an_unknown_kind_has_no_policy(filled: Database) -> None:
    with pytest.raises(KindNotFound):
        policy.policy("nobody_knows_it")


@pytest.mark.parametrize("words", [["kind", "register"], ["policy", "publish"], ["policy", "draft"]])
def test_the_command_line_changes_neither(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        app([*words, "payment"], exit_on_error=True)
