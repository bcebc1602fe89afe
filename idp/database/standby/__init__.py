"""A standby of PostgreSQL that lists of administrators are read from: its backend, how far it is (watch.py), what is read there
(reading.py). Nothing else goes there, and no page is older for it: a list waits until the standby has what the primary had when
it was asked for, or is read from the primary.
"""
