"""A Django site in one file that signs people in by mozilla-django-oidc as its documentation shows it. Runs in its own process."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen
from wsgiref.simple_server import make_server

from django.conf import settings

PORT, ISSUER = int(os.environ["PORT"]), os.environ["ISSUER"]


def end_session_url(request: Any) -> str:
    """Where the package's logout view sends people: RP-initiated logout with the ID token that it kept."""
    query = {"id_token_hint": request.session["oidc_id_token"], "post_logout_redirect_uri": f"http://localhost:{PORT}/"}
    return f"{DISCOVERED['end_session_endpoint']}?{urlencode(query)}"


def home(request: Any) -> Any:
    from django.http import JsonResponse
    from django.middleware.csrf import get_token

    user = request.user
    return JsonResponse(
        {
            "signedIn": user.is_authenticated,
            "email": user.email if user.is_authenticated else None,
            "csrf": get_token(request),
        }
    )


with urlopen(f"{ISSUER}.well-known/openid-configuration") as answer:
    DISCOVERED = json.load(answer)

settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "mozilla_django_oidc",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
    SESSION_COOKIE_NAME="mozilla_session",
    CSRF_COOKIE_NAME="mozilla_csrf",
    USE_TZ=True,
    LOGIN_REDIRECT_URL="/",
    LOGOUT_REDIRECT_URL="/",
    OIDC_RP_CLIENT_ID=os.environ["CLIENT_ID"],
    OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
    OIDC_RP_SIGN_ALGO="RS256",
    OIDC_RP_SCOPES="openid email",
    OIDC_OP_AUTHORIZATION_ENDPOINT=DISCOVERED["authorization_endpoint"],
    OIDC_OP_TOKEN_ENDPOINT=DISCOVERED["token_endpoint"],
    OIDC_OP_USER_ENDPOINT=DISCOVERED["userinfo_endpoint"],
    OIDC_OP_JWKS_ENDPOINT=DISCOVERED["jwks_uri"],
    OIDC_STORE_ID_TOKEN=True,
    OIDC_OP_LOGOUT_URL_METHOD=f"{__name__}.end_session_url",
)


def patterns() -> list[Any]:
    from django.urls import include, path

    return [path("", home), path("oidc/", include("mozilla_django_oidc.urls"))]


if __name__ == "__main__":
    import sys

    import django
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application

    sys.modules["django_app"] = sys.modules["__main__"]
    settings.ROOT_URLCONF = "django_app"
    settings.OIDC_OP_LOGOUT_URL_METHOD = "django_app.end_session_url"
    django.setup()
    call_command("migrate", verbosity=0)
    urlpatterns = patterns()
    make_server("127.0.0.1", PORT, get_wsgi_application()).serve_forever()
