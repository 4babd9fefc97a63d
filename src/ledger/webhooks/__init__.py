"""Webhooks: notices sent to whoever wants them, signed, repeated until they arrive, and never to where they must not go."""
