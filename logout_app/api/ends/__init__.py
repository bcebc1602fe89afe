"""Ends of sessions: who was told of them, and what can be proved. Auth0 has none of it."""
