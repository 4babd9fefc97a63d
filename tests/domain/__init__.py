"""The pure core, in sentences."""
