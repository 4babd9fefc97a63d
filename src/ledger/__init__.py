"""The decision ledger: machines ask, people decide, anyone can prove it."""
