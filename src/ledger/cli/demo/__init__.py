"""``ledger demo``."""
