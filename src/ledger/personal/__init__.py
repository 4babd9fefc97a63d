"""Personal data that a policy marks: sealed under a key of whom it is about, opened where it is told (ADR 0029)."""
