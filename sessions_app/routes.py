"""Paths of this app."""

from django.urls import URLPattern, path

from sessions_app.views.check_session import check_session

urlpatterns: list[URLPattern] = [
    path("oidc/check-session", check_session, name="check_session"),
]
