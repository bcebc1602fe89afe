"""Django's admin for who and trust. The pages of users, applications and connections are completed by `logout_app.admin`."""

from django.contrib import admin

from idp.admin import configuration, directory, identities, invitations  # noqa: F401  register their models
from idp.admin.connections import saml_key  # noqa: F401
from idp.admin.looks.pages import PAGES

for page in PAGES:
    admin.site.add_page(page)  # type: ignore[attr-defined]  # of idp/admin_site.py
