"""``ledger audit evidence``: all about one decision in a folder, for people and for programs."""
