"""One file per read model: its SQL, its apply, its queries."""
