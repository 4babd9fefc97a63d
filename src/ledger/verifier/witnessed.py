"""What witnesses have seen of a busy log, whose newest checkpoint is seldom cosigned yet when it is fetched."""

from typing import Final

import msgspec

from ledger.verifier.checkpoint import Checkpoint, parse_checkpoint
from ledger.verifier.policy import Accepted, Policy, accepted, quorum_met
from ledger.verifier.verdict import PolicyNotMet, Unusable
from ledger.verifier.watch import Fetch, Shown

PAGE: Final = 500
MOST_PAGES: Final = 50
MOST_BYTES: Final = 10_000_000
AT_LEAST: Final = 1_000
"""Events to look back over, each of which may have been sealed by itself."""


class ListMalformed(Unusable):
    """The log's list of checkpoints is none."""

    code = "list-malformed"


class _Told(msgspec.Struct, frozen=True):
    note: str


class _Page(msgspec.Struct, frozen=True):
    checkpoints: list[_Told]
    next: int | None = None


def last_witnessed(fetch: Fetch, policy: Policy, newest: Checkpoint, since: int) -> Shown | None:
    """Find the newest checkpoint, not beyond ``newest``, that as many witnesses cosigned as the policy asks for.

    It looks at those of ``since`` events and more, and of the last thousand at least; ``None``: there is none. Whether
    ``newest`` goes on from what is found is for the caller to check.

    Raises:
        ListMalformed: what is served is no list of checkpoints.
        Tampered: a checkpoint in it is none, or bears a wrong signature.
    """
    at, best = max(0, min(since, newest.size - AT_LEAST)), None
    for _ in range(MOST_PAGES):
        page = _page(fetch(f"checkpoints?from={at}&limit={PAGE}", MOST_BYTES))
        best = _newest_of(page, policy, newest.size) or best
        if page.next is None or not at < page.next <= newest.size:
            break
        at = page.next
    return best


def _newest_of(page: _Page, policy: Policy, largest: int) -> Shown | None:
    for told in reversed(page.checkpoints):
        raw = told.note.encode()
        checkpoint = parse_checkpoint(raw)
        by = _by(policy, checkpoint) if checkpoint.size <= largest else None
        if by is not None and quorum_met(policy, by.cosigned.keys()):
            return Shown(raw=raw, checkpoint=checkpoint, by=by)
    return None


def _by(policy: Policy, checkpoint: Checkpoint) -> Accepted | None:
    try:
        return accepted(policy, checkpoint, with_quorum=False)
    except PolicyNotMet:  # by a key of before, say: it is not what is looked for
        return None


def _page(raw: bytes) -> _Page:
    try:
        return msgspec.json.decode(raw, type=_Page)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as broken:
        raise ListMalformed(reason=str(broken)) from broken
