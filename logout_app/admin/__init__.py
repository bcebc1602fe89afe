"""The end of sessions in the admin, and the pages from below that need the door: people, applications, sessions."""

from logout_app.admin import applications, connections, deliveries, sessions, users  # noqa: F401  register their models
