"""Accounts of people, the identities by which they sign in, and their passwords. It never opens or ends a session: it sends signals."""
