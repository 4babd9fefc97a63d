"""What the outside is told, and how it gets there."""
