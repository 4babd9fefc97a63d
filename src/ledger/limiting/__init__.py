"""How often somebody may try: counted per process, and over all processes where they share a Redis."""
