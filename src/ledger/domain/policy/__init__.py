"""The Policy aggregate: under which terms decisions of a kind are taken, and who said so."""
