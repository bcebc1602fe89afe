"""Rules of the specifications for clients, requests and tokens, as pure Python: no database, no request of Django, no clock."""
