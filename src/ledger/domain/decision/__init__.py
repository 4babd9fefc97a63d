"""The Decision aggregate."""
