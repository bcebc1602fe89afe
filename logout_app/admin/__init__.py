"""The end of sessions in the admin, and the pages from below that need the door: people, applications, sessions."""

from django.contrib import admin

from logout_app.admin import applications, connections, deliveries, sessions, users  # noqa: F401  register their models
from logout_app.admin.pages.api_reference import API_DOCUMENT, API_REFERENCE
from logout_app.admin.pages.evidence import EVIDENCE
from logout_app.admin.pages.find import FIND
from logout_app.admin.signals import streams  # noqa: F401  registers its models

for page in (EVIDENCE, FIND, API_REFERENCE, API_DOCUMENT):
    admin.site.add_page(page)  # type: ignore[attr-defined]  # of idp/admin_site.py
