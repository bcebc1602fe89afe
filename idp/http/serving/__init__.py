"""What stands between the web server and Django: whole requests for threads, deadlines for whoever sends them (ADR 25)."""
