"""What an installation needs before and beside requests: checks, preparation, logs, the demo. No request passes through here."""
