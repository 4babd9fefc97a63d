"""The log's Merkle tree, signed as it grows: what makes a change of the past show."""
