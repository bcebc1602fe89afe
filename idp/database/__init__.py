"""The database's room: backends, waits, prepared statements and lookups, the words that PostgreSQL and SQLite do not share, and
the composer of acts. It knows no table: what is written and why is said by the packages that call it.
"""
