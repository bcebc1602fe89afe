"""Rules of the specifications for authorization requests, scopes, claims and Session Management, as pure Python."""
