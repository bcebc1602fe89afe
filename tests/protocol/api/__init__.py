"""The Management API."""
