"""What people do to projections, each act on the record together with its effect."""
