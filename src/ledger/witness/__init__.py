"""A witness: remembers the checkpoints of logs and cosigns what continues them; needs the verifier and nothing else."""
