"""Paths of this app."""

from django.urls import URLPattern, path

from idp.views.app_association import apple_app_site_association, asset_links
from idp.views.brand_image import brand_image
from idp.views.csp_reports import csp_reports
from idp.views.discovery import jwks, openid_configuration
from idp.views.protected_resource import protected_resource
from idp.views.register import manage, register
from idp.views.saml_metadata import metadata as saml_metadata
from idp.views.scim import scim
from idp.views.theme import theme

urlpatterns: list[URLPattern] = [
    path(".well-known/openid-configuration", openid_configuration, name="openid_configuration"),
    path(".well-known/oauth-authorization-server", openid_configuration, name="oauth_authorization_server"),
    path(".well-known/jwks.json", jwks, name="jwks"),
    path(".well-known/assetlinks.json", asset_links, name="asset_links"),
    path(".well-known/apple-app-site-association", apple_app_site_association, name="apple_app_site_association"),
    path(".well-known/oauth-protected-resource/<path:path>", protected_resource, name="protected_resource"),
    path("oidc/register", register, name="register"),
    path("oidc/register/<str:client_id>", manage, name="register_manage"),
    path("csp-reports", csp_reports, name="csp_reports"),
    path("theme.css", theme, name="theme"),
    path("branding/<str:name>", brand_image, name="brand_image"),
    path("scim/v2/connections/<str:connection>", scim, name="scim"),
    path("scim/v2/connections/<str:connection>/<path:rest>", scim, name="scim_of"),
    path("samlp/<slug:connection>/metadata", saml_metadata, name="saml_metadata"),
]
