"""How the service tells what it does: one log format for everybody, meters, and traces for whoever collects them."""
