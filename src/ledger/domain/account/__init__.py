"""The Account aggregate."""
