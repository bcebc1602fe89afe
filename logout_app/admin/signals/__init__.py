"""Signals in the admin: those that a connection receives, on its page, and the streams that tell others. No rules are here."""
