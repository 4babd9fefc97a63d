"""``ledger kind`` and ``ledger policy``: what can be submitted, and under which terms it is decided. Reading only.

Whoever runs commands on this machine is nobody in particular, and publishing a policy takes two persons.
"""

import asyncio
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from ledger.api import kind_wire, policy_wire
from ledger.api.kind_wire import KindShown
from ledger.api.policy_wire import PolicyShown, PolicyTold, PolicyVersion
from ledger.cli.operating import operating, overseeing
from ledger.cli.tables import print_json, print_table
from ledger.domain.kind.state import KindNotFound
from ledger.domain.policy.decide import POLICY
from ledger.domain.terms import BUILT_IN_KIND, Policy
from ledger.identity import people
from ledger.projections import kind_rows, policy_rows
from ledger.store.pool import reading
from ledger.store.streams import read_streams, recorded

Json: TypeAlias = Annotated[bool, Parameter(negative="", help="As JSON, for programs.")]

MOST: Final = 1_000


def kinds(*, json: Json = False) -> int:
    """Show the kinds of items there are and were, the first thousand by name."""
    found = asyncio.run(_kinds())
    if json:
        print_json(found)
    else:
        columns = ("Kind", "Title", "Version", "State")
        print_table(columns, [(one.kind, one.title, one.kind_version, _state(one)) for one in found])
    return 0


def policies(*, json: Json = False) -> int:
    """Show the policy that holds for each kind, the first thousand by name."""
    found = asyncio.run(_policies())
    if json:
        print_json(found)
    else:
        columns = ("Kind", "Version", "Approvals", "Four eyes", "Deadline", "At the deadline", "Drafts")
        print_table(columns, [_cells(one) for one in found])
    return 0


def policy(kind: str, *, json: Json = False) -> int:
    """Show every version of a kind's policy: what became of it, who drafted and who published it."""
    found = asyncio.run(_policy(kind))
    if json:
        print_json(found)
        return 0
    columns = ("Version", "Standing", "Drafted by", "Published by", "Approvals", "Reason")
    rows = [
        (
            one.policy_version,
            one.standing,
            one.drafted.by if one.drafted else "-",
            one.published.by if one.published else "-",
            _approvals(one.terms),
            _why(one),
        )
        for one in found.versions
    ]
    print_table(columns, rows)
    return 0


async def _kinds() -> list[KindShown]:
    async with operating() as services, reading(services.ledger.pool) as conn:
        rows = await kind_rows.page(conn, services.ledger.ledger_id, after="", limit=MOST)
    found = [kind_wire.built_in_shown(), *map(kind_wire.shown, rows)]
    return sorted(found, key=lambda kind: kind.kind)


async def _policies() -> list[PolicyShown]:
    async with operating() as services:
        ledger = services.ledger
        async with reading(ledger.pool) as conn:
            rows = await policy_rows.page(conn, ledger.ledger_id, after="", limit=MOST)
        publishers = [row.publication.by for _, row in rows if row and row.publication]
        names = await people.names_of(ledger.pool, ledger.ledger_id, publishers)
    return [policy_wire.shown(kind, row, names) for kind, row in rows]


async def _policy(kind: str) -> PolicyTold:
    async with overseeing() as ledger:
        policies_of_it, its_kind = ledger.policy_stream(kind), ledger.kind_stream(kind)
        streams = await read_streams(ledger, [policies_of_it, its_kind])
        if kind != BUILT_IN_KIND and not streams[its_kind].events:
            raise KindNotFound(kind=kind)
        events = [recorded(stored, POLICY.event_types).event for stored in streams[policies_of_it].events]
        names = await people.names_of(ledger.pool, ledger.ledger_id, [event.by for event in events])
    return policy_wire.told(kind, events, names)


def _why(version: PolicyVersion) -> str:
    act = version.ended or version.published or version.drafted
    return "" if act is None else act.reason


def _state(kind: KindShown) -> str:
    if kind.is_built_in:
        return "built in"
    return "retired" if kind.is_retired else "registered"


def _cells(one: PolicyShown) -> tuple[object, ...]:
    terms = one.terms
    deadline = terms.deadline_seconds
    return (
        one.kind,
        f"{one.policy_version} (default)" if one.is_default else one.policy_version,
        _approvals(terms),
        "yes" if terms.four_eyes else "no",
        "-" if deadline is None else f"{deadline} s",
        "-" if deadline is None else terms.default_outcome.value,
        " ".join(map(str, one.drafts)) or "-",
    )


def _approvals(terms: Policy) -> str:
    of_groups = ", ".join(f"{one.approvals} of {one.group}" for one in terms.groups)
    whole = (
        str(terms.approvals_needed) if terms.voters is None else f"{terms.approvals_needed} of {terms.voters}"
    )
    return f"{whole} ({of_groups})" if of_groups else whole
