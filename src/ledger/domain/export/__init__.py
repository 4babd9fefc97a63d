"""What leaves the ledger: who took how much of it, written down before anything goes."""
