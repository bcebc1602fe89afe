"""Endpoints and pages of an end: logout endpoints, the sign-out page, Your sessions, probes and metrics."""
