"""What the store costs and what it gives, measured beside its peers: ``python -m benchmarks``."""
