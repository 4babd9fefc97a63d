"""Marks of policies that hit nothing in what is submitted: nothing is sealed there, and somebody ought to know.

What is told is the kind, the policy and the mark, which its authors wrote; nothing of what was submitted.
"""

from typing import Final

import structlog
from opentelemetry import metrics

from ledger.domain.decision.item import Item, KindItem, payload_of
from ledger.domain.json_pointer import PointsNowhere, at
from ledger.domain.terms import Policy

log = structlog.get_logger()

_missed = metrics.get_meter("ledger.personal").create_counter(
    "ledger_policy_marks_missed", description="Marks of policies that hit nothing in an item, by kind"
)
_told: Final[set[tuple[str, int, str]]] = set()
"""By kind, version of the policy and mark: the log has each once from a process. Two people make a version."""


def tell_misses(item: Item, policy: Policy) -> None:
    """Count the places that the policy marks and the item does not have."""
    if not isinstance(item, KindItem):
        return  # every field of the built-in kind is there
    payload = payload_of(item)
    for mark in policy.personal:
        if mark.startswith("/") and not _is_there(payload, mark):
            _missed.add(1, {"kind": item.name})
            _tell_once(item.name, policy.version, mark)


def _is_there(payload: object, mark: str) -> bool:
    try:
        at(payload, mark)
    except PointsNowhere:
        return False
    return True


def _tell_once(kind: str, version: int, mark: str) -> None:
    if (kind, version, mark) not in _told:
        _told.add((kind, version, mark))
        log.warning("policy.mark.hit_nothing", kind=kind, policy_version=version, mark=mark)
