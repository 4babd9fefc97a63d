"""An open ledger with people, by a clock that stands still."""

from tests.identity.conftest import clock, identity

__all__ = ["clock", "identity"]
