"""Erasing: what is kept of somebody outside the log is deleted, and the log says that it was."""
