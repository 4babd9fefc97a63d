"""Writes the beginnings of an upcaster and of its test; people fill them in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.event_types import ROOT

MARK: Final = "STEPS: Final = ("
MODULE: Final = '''"""Past shapes of what happened to {what}, lifted one version at a time."""

from typing import Final

from ledger.upcasters.step import Json, Step

STEPS: Final = (
)
'''
UPCASTER: Final = '''def {function}(payload: Json) -> Json:
    """Say what has changed, and why what is filled in is true of every older event."""
    return {{**payload}}


'''
TEST_MODULE: Final = '''"""What each past shape of what happened to {what} reads as today."""

import msgspec

from ledger.upcasters import {aggregate}
from tools.golden import Golden
'''
TEST: Final = """

def test_{function}_says_what_has_changed() -> None:
    past = msgspec.json.decode(Golden().stored("{name}", {version}))

    assert {aggregate}.{function}(past) == {{**past}}
"""


def scaffold(aggregate: str, name: str, version: int, root: Path = ROOT) -> Iterator[str]:
    """Write the step of ``name`` from ``version`` to the next, and its test; say where they are."""
    function = f"{name.replace('-', '_')}_v{version}_to_v{version + 1}"
    module = root / "src" / "ledger" / "upcasters" / f"{aggregate}.py"
    if not module.exists():
        module.write_text(MODULE.format(what=f"a {aggregate}"), encoding="utf-8")
        yield f"New: {module.relative_to(root)}; add its STEPS to ALL in upcasters/chain.py."
    source = module.read_text(encoding="utf-8")
    before, mark, after = source.partition(MARK)
    listed, end, rest = after.partition("\n)")
    step = f'\n    Step(type="{name}", version={version}, lift={function}),'
    written = before + UPCASTER.format(function=function) + mark + listed.rstrip() + step + end + rest
    module.write_text(written, encoding="utf-8")
    yield f"Upcaster: {function} in {module.relative_to(root)}"
    test = root / "tests" / "upcasters" / f"test_{aggregate}.py"
    if not test.exists():
        test.write_text(TEST_MODULE.format(what=f"a {aggregate}", aggregate=aggregate), encoding="utf-8")
    with test.open("a", encoding="utf-8") as file:
        file.write(TEST.format(function=function, name=name, version=version, aggregate=aggregate))
    yield f"Test: {test.relative_to(root)}"
