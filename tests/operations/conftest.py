"""People who may and may not operate, as the room of identity's own tests have them."""

from tests.identity.conftest import clock, identity

__all__ = ["clock", "identity"]
