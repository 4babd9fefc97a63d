"""Looking back: what happened to a decision, what it was at a moment, what hangs together, and who looked."""
