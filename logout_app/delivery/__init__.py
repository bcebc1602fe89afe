"""Telling receivers of an end, and what became of it. It ends nothing: what must be told was planned in the act (`ending/rows.py`)."""
