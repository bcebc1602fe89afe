"""The end of a session: what ends it, who is told, and the proof. Nothing below imports it; signals and settings lead here."""
