"""Numbers as people read them."""


def counted(count: int, what: str) -> str:
    """Count things by the name of one of them: 1 event, 2 events."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
