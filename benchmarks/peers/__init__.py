"""The ways to append that are measured: ours, and those of others."""
