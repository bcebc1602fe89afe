"""Directories: Active Directory and plain LDAP. Search-then-bind over TLS, nothing kept open (strategy `ad`)."""
