"""What PostgreSQL would do for a statement: which tables it reads, and what rows of them have to fulfil."""

import json
import re
from collections.abc import Iterator
from typing import Final

import asyncpg
import msgspec

CONDITIONS: Final = ("Index Cond", "Recheck Cond", "Filter", "Hash Cond", "Join Filter", "Merge Cond")


class Scan(msgspec.Struct, frozen=True):
    """One reading of a table, and the name it has in the conditions."""

    table: str
    alias: str


class Plan(msgspec.Struct, frozen=True):
    """All that a statement reads, and every condition."""

    scans: tuple[Scan, ...]
    conditions: str

    def binds(self, scan: Scan, column: str) -> bool:
        """Whether rows of a scan are chosen by a column."""
        return re.search(rf'(?<![\w.])"?{re.escape(scan.alias)}"?\.{column}\b', self.conditions) is not None

    def is_told(self, column: str) -> bool:
        """Whether somewhere the caller says which value of a column is meant; joins carry it on."""
        return re.search(rf"\b{column} = \$\d", self.conditions) is not None


async def plan_of(conn: asyncpg.Connection, sql: str) -> Plan:
    """Plan a statement, whatever its binds."""
    binds = len((await conn.prepare(sql)).get_parameters())
    values = f"({', '.join(['null'] * binds)})" if binds else ""
    await conn.execute(f"prepare planned as {sql}")
    try:
        text = await conn.fetchval(f"explain (format json, verbose, costs off) execute planned{values}")
    finally:
        await conn.execute("deallocate planned")
    steps = list(_steps(json.loads(text)[0]["Plan"]))
    return Plan(
        scans=tuple(
            Scan(f"{step['Schema']}.{step['Relation Name']}", step["Alias"])
            for step in steps
            if "Relation Name" in step and step["Node Type"] != "ModifyTable"
        ),
        conditions=" ".join(step[name] for step in steps for name in CONDITIONS if name in step),
    )


def _steps(step) -> Iterator[dict]:
    yield step
    for below in step.get("Plans", ()):
        yield from _steps(below)
