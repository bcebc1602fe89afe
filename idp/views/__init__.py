"""Endpoints and pages of identity and trust: discovery, keys, registration, errors."""
