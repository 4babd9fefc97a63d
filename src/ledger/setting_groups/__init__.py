"""Settings by theme, one module each; ``ledger.settings`` puts them together and reads the environment."""
