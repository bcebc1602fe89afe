"""Shared Signals as a receiver, as pure functions: security event tokens, whom they name, how they come. Never asks anybody."""
