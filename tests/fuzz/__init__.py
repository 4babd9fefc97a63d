"""Requests that schemathesis makes up from the description of the interface, sent to a live service."""
