"""The Access aggregate: what the ledger asks of everybody who comes in."""
