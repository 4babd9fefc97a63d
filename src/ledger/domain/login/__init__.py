"""Attempts to log in that failed: a stream beside the account, so that a guesser cannot touch the account's own."""
