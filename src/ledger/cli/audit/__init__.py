"""``ledger audit``."""
