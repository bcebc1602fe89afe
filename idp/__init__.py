"""Identity and trust: people, connections, applications, keys. It knows of no session, and imports no app above it."""
