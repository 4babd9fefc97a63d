"""Tests of what the outside is told."""
