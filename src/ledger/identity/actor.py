"""Who acts: somebody who came in over HTTP, or the operator of the machine, whom no stream speaks of."""

import msgspec

from ledger.command_handling.facts import Facts
from ledger.domain.authority import Authority
from ledger.domain.ids import StreamName
from ledger.identity.sessions import Principal, authority, reads_of
from ledger.store.envelope import Provenance


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does it, and by which request; no ``principal``: the operator of the machine."""

    principal: Principal | None
    provenance: Provenance

    def reads(self) -> tuple[StreamName, ...]:
        """Name the streams that a command of theirs relies on: none, if it is the operator's."""
        return () if self.principal is None else reads_of(self.principal)

    def authority(self, facts: Facts) -> Authority | None:
        """Say what they may do, as the streams (``reads``) said; ``None``: the operator, who may."""
        return None if self.principal is None else authority(facts, self.principal)
