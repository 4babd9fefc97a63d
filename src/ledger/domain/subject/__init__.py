"""The Subject aggregate: whether somebody's personal data is to be erased, who said so, and what forbids it."""
