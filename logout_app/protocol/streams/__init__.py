"""Rules of our own event streams: what the transmitter of Shared Signals says and takes, security event tokens, webhooks."""
