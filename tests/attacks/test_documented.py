"""docs/security.md names tests, settings and metrics; they are there."""

import re
from pathlib import Path

import pytest

from ledger.settings import known_names

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", DOCUMENT))))
def test_a_test_that_the_document_names_exists(name: str) -> None:
    assert (ROOT / name).is_file()


def test_every_attack_is_in_the_document() -> None:
    attacks = {path.name for path in (ROOT / "tests" / "attacks").glob("test_*.py")} - {"test_documented.py"}

    assert {name for name in attacks if f"tests/attacks/{name}" not in DOCUMENT} == set()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(LEDGER_\w+)`", DOCUMENT))))
def test_a_setting_that_the_document_names_is_one(name: str) -> None:
    assert name in known_names()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(ledger_\w+?)(?:_total)?`", DOCUMENT))))
def test_a_metric_that_the_document_names_is_measured(name: str) -> None:
    assert f'"{name}"' in SOURCE
