"""Payloads of registered kinds: which JSON Schemas are taken, and what they say of a payload (ADR 0020)."""
