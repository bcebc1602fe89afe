"""Shared Signals on the wire: events that are pushed to us, and our own transmitter."""
