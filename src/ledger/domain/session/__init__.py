"""The AnalystSession aggregate."""
