"""What ``ledger doctor`` looks at."""
