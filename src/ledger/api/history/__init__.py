"""The history over HTTP."""
