"""Endpoints and pages of a session that lives: /authorize, /login, tokens, the account."""
