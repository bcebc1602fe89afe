"""Event streams: who is told what the audit trail says, in its order. Everything is sent by the outbox; nothing here ends a session."""
