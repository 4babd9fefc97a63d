"""The Operations aggregate: what people do to a projection."""
