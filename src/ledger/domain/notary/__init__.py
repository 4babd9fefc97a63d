"""The Notary aggregate: what people do to whoever seals the log."""
