"""SAML of an application: what it says of itself (settings.py, which the rulebook asks), and where its metadata say it."""
