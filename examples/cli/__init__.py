"""A native application for the terminal: loopback redirect or device flow, and a session that can end elsewhere."""
