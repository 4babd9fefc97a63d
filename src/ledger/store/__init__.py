"""The append-only event store: the only doors to the log."""
