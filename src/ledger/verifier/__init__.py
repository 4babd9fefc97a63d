"""Verifies what the ledger published, and shares no code with what wrote it (ADR 0026)."""
