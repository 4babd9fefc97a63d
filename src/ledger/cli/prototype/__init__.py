"""``ledger import-prototype``: the data of the service that this one replaces."""
