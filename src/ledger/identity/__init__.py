"""People, credentials and logging in; never in the log."""
