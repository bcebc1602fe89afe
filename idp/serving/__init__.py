"""Our web server: an event loop reads requests and writes answers, threads answer whole requests by Django (ADR 0025)."""
