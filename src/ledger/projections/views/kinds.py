"""Kinds of items and the policies under which they are decided: one read model, as they are read together."""

from collections.abc import Sequence
from typing import Final, TypeAlias, TypeGuard, get_args

from ledger.domain.kind.events import KindEvent
from ledger.domain.policy.events import PolicyEvent
from ledger.projections import kind_rows, policy_rows
from ledger.projections.projection import Projection
from ledger.store.pool import Connection
from ledger.store.streams import Recorded

Wanted: TypeAlias = KindEvent | PolicyEvent


async def apply(conn: Connection, ledger_id: int, batch: Sequence[Recorded[Wanted]]) -> None:
    """Bring kinds and policies up to date."""
    kinds = [item for item in batch if _is_of_a_kind(item)]
    if kinds:
        await kind_rows.apply(conn, ledger_id, kinds)
    policies = [item for item in batch if _is_of_policies(item)]
    if policies:
        await policy_rows.apply(conn, ledger_id, policies)


def _is_of_a_kind(item: Recorded[Wanted]) -> TypeGuard[Recorded[KindEvent]]:
    return isinstance(item.event, get_args(KindEvent))


def _is_of_policies(item: Recorded[Wanted]) -> TypeGuard[Recorded[PolicyEvent]]:
    return isinstance(item.event, get_args(PolicyEvent))


KINDS: Final = Projection[Wanted](
    name="kinds",
    version=1,
    event_types=(*get_args(KindEvent), *get_args(PolicyEvent)),
    tables=("kinds_v1", "policies_v1"),
    apply=apply,
)
