"""Ids in addresses."""

from uuid import UUID

from ledger.domain.errors import NotFound


def id_in(text: str, absent: NotFound) -> UUID:
    """Read an id as this service gave it; anything else names nothing that there is.

    Raises:
        NotFound: ``absent``, it is no id.
    """
    try:
        return UUID(text)
    except ValueError as malformed:
        raise absent from malformed
