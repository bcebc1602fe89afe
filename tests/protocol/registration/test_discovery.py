"""The discovery document against Authlib's validators, with everything off and everything on."""

from __future__ import annotations

from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from django.test import Client

from idp.tenants import configuration

pytestmark = pytest.mark.django_db
CORE = "OpenID Connect Discovery 1.0"
ISSUER = "https://id.example.com/"


@pytest.fixture(params=[False, True], ids=["off", "on"])
def switched(request: pytest.FixtureRequest) -> bool:
    tenant = configuration.load_tenant()
    tenant.session_management = tenant.dynamic_client_registration = request.param
    tenant.save()
    return bool(request.param)


def document(client: Client, settings: Any, path: str = "openid-configuration") -> dict[str, Any]:
    settings.ISSUER = ISSUER  # the validators insist on https
    return dict(client.get(f"/.well-known/{path}").json())


@pytest.mark.spec(CORE, "3", "R2 end_session_endpoint and all other metadata are valid")
def test_authlib_finds_the_openid_configuration_valid(client: Client, settings: Any, switched: bool) -> None:
    OpenIDProviderMetadata(document(client, settings)).validate()


@pytest.mark.spec("RFC 8414", "2", "the authorization server metadata is valid")
def test_authlib_finds_the_authorization_server_metadata_valid(client: Client, settings: Any, switched: bool) -> None:
    AuthorizationServerMetadata(document(client, settings, "oauth-authorization-server")).validate()


@pytest.mark.spec(CORE, "3", "R2 end_session_endpoint is an https URL")
@pytest.mark.spec("OpenID Connect Back-Channel Logout 1.0", "2.1", "B1 both flags are true")
@pytest.mark.spec("OpenID Connect Front-Channel Logout 1.0", "3", "F3 both flags are true")
def test_all_three_kinds_of_logout_are_announced(client: Client, settings: Any) -> None:
    found = document(client, settings)
    assert found["end_session_endpoint"] == f"{ISSUER}oidc/logout"
    for kind in ("backchannel", "frontchannel"):
        assert found[f"{kind}_logout_supported"] is True
        assert found[f"{kind}_logout_session_supported"] is True
    assert "sid" in found["claims_supported"]


@pytest.mark.spec("OpenID Connect Session Management 1.0", "3.3", "S3 check_session_iframe is announced when it is on")
@pytest.mark.spec(CORE, "3", "registration_endpoint is announced when it is on")
def test_what_is_off_is_not_announced(client: Client, settings: Any, switched: bool) -> None:
    found = document(client, settings)
    assert ("check_session_iframe" in found) is switched
    assert ("registration_endpoint" in found) is switched


def test_the_announced_endpoints_are_there(client: Client, settings: Any) -> None:
    tenant = configuration.load_tenant()
    tenant.session_management = tenant.dynamic_client_registration = True
    tenant.save()
    found = document(client, settings)
    for name, url in found.items():
        if (name.endswith(("_endpoint", "_iframe", "_uri"))) and "{" not in url:
            assert client.get(url.removeprefix(ISSUER.rstrip("/"))).status_code != 404, name


def test_no_unsigned_or_symmetric_algorithm_is_announced(client: Client, settings: Any) -> None:
    found = document(client, settings)
    listed = [value for name, values in found.items() if name.endswith("alg_values_supported") for value in values]
    assert not {"none", "HS256", "HS384", "HS512"} & set(listed)
