"""What the ledger does unasked: it reads the log and issues commands."""
