"""Connections in the admin, with what their identity providers told us."""

from __future__ import annotations

from django.contrib import admin

from idp.admin.connections import pages
from idp.models import Connection


@admin.register(Connection)
class ConnectionAdmin(pages.ConnectionAdmin):
    """Registered here, so that what ends sessions can be shown and done on the page."""
