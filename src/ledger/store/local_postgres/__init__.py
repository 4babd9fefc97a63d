"""A PostgreSQL of the service's own."""
