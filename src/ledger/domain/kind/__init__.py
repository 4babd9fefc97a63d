"""The Kind aggregate: what sorts of items people are asked to decide on."""
