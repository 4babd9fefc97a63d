"""``ledger audit export``, ``prove`` and ``evidence``: the ledger, or a part of it, in folders that prove themselves."""
