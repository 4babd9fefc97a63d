"""What a bundle says about itself: nobody is led to another's package, and what is to be pasted runs as it stands."""

import gzip
import hashlib
import re
import subprocess
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from ledger.cli.exporting.guide import guide
from ledger.cli.exporting.source import Wish
from ledger.domain.export.events import Tier
from ledger.sealing.notes import Checkpoint
from tests.support.sealed_log import ORIGIN, SIGNER

NOTE = Checkpoint(origin=ORIGIN, size=3, root=bytes(32)).signed_by([SIGNER])


def guide_of(tier: Tier) -> str:
    return guide(Wish(tier=tier, first=1, last=3, size=3, note=NOTE))


@pytest.mark.parametrize("tier", Tier)
def test_nobody_is_told_to_install_a_package_by_its_name(tier: Tier):
    told = guide_of(tier)
    assert [line for line in told.splitlines() if re.match(r"\s*pip install(?! \.)", line)] == []
    assert "never by that name from a public index" in " ".join(told.split())


@pytest.mark.parametrize("change", [str, dedent])
def test_what_opens_a_payload_runs_as_it_is_pasted(tmp_path: Path, change):
    (tmp_path / "payloads").mkdir()
    line = {"position": 1, "salt": "0a", "payload": "{}"}
    (tmp_path / "payloads/000000000001.ndjson.gz").write_bytes(gzip.compress(msgspec.json.encode(line)))
    (block,) = re.findall(r"```\n([^`]*zcat [^`]*)```", guide_of(Tier.PAYLOAD))
    ran = subprocess.run(
        ["bash", "-c", change(block)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.stdout.strip(), ran.stderr) == (hashlib.sha256(b"\x0a{}").hexdigest(), "")
