"""The SQLite backend: one writer at a time, waits that end."""
