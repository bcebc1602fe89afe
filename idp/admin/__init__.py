"""Django's admin for who and trust. The pages of users and applications are completed by the apps above (`logout_app.admin`)."""

from idp.admin import configuration, connections  # noqa: F401  register their models
