"""Past shapes of stored events, lifted one version at a time."""
