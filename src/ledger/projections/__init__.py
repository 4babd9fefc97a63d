"""Read models and the runner that keeps them level with the log."""
