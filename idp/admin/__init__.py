"""Django's admin for who and trust. The pages of users, applications and connections are completed by `logout_app.admin`."""

from idp.admin import configuration, directory, identities, invitations  # noqa: F401  register their models
