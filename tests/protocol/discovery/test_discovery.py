"""The metadata documents and the keys."""

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from django.test import Client
from django.urls import resolve

from idp.crypto import keys
from idp.models import ResourceServer, TenantSettings
from tests.support.oauth import issuer

pytestmark = pytest.mark.django_db


def document(path=".well-known/openid-configuration"):
    answer = Client().get(f"/{path}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    return answer.json()


def over_https(metadata):
    """Authlib insists on https; the tests' issuer is http on loopback."""
    return {name: v.replace("http://", "https://") if isinstance(v, str) else v for name, v in metadata.items()}


@pytest.mark.spec("OpenID Connect Discovery 1.0", "4.2", "The configuration response is valid")
def test_authlib_accepts_both_documents():
    metadata = over_https(document())
    OpenIDProviderMetadata(metadata).validate()
    AuthorizationServerMetadata(over_https(document(".well-known/oauth-authorization-server"))).validate()


def test_what_sdks_look_for():
    metadata = document()
    assert metadata["issuer"] == issuer()
    assert metadata["authorization_endpoint"] == f"{issuer()}authorize"
    assert metadata["end_session_endpoint"] == f"{issuer()}oidc/logout"
    assert {"query", "fragment", "form_post", "web_message"} == set(metadata["response_modes_supported"])
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    assert metadata["backchannel_logout_session_supported"] is True
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["global_token_revocation_endpoint"] == f"{issuer()}oauth/global-token-revocation"
    assert metadata["global_token_revocation_endpoint_auth_methods_supported"] == ["global-token-revocation+jwt"]
    assert "registration_endpoint" not in metadata
    assert "check_session_iframe" not in metadata


def test_optional_endpoints_appear_when_they_are_on():
    tenant = TenantSettings.objects.get_or_create(pk=1)[0]
    tenant.dynamic_client_registration = tenant.session_management = True
    tenant.save()
    metadata = document()
    assert metadata["registration_endpoint"] == f"{issuer()}oidc/register"
    assert metadata["check_session_iframe"] == f"{issuer()}oidc/check-session"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "token",
        "userinfo",
        "revocation",
        "introspection",
        "device_authorization",
        "global_token_revocation",
        "pushed_authorization_request",
    ],
)
def test_every_named_endpoint_of_ours_exists(name):
    assert resolve("/" + document()[f"{name}_endpoint"].removeprefix(issuer()))


def test_the_keys_have_what_sdks_need_and_no_private_half():
    keys.ensure()
    answer = Client().get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    for key in answer.json()["keys"]:
        assert key["kid"]
        assert key["use"] == "sig"
        assert key["alg"] in ("RS256", "PS256", "ES256", "EdDSA")
        assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)


def test_no_slash_and_no_redirect():
    assert Client().get("/.well-known/jwks.json/").status_code == 404
    assert Client().post("/.well-known/openid-configuration").status_code == 405


@pytest.mark.spec("RFC 9728", "3", "A protected resource says who issues tokens for it")
def test_our_own_apis_say_who_issues_their_tokens():
    said = Client().get("/.well-known/oauth-protected-resource/userinfo").json()
    assert said["resource"] == f"{issuer()}userinfo"
    assert said["authorization_servers"] == [issuer()]
    assert "openid" in said["scopes_supported"]
    assert document()["protected_resources"] == [said["resource"]]
    ResourceServer.objects.create(identifier=f"{issuer()}api/v2/")
    ResourceServer.objects.create(identifier=f"{issuer()}things", scopes=[{"value": "read:things"}])
    ResourceServer.objects.create(identifier="https://api.example/")
    for path in ("api/v2", "api/v2/"):
        api = Client().get(f"/.well-known/oauth-protected-resource/{path}").json()
        assert (api["resource"], "read:users" in api["scopes_supported"]) == (f"{issuer()}api/v2/", True)
    api = Client().get("/.well-known/oauth-protected-resource/things").json()
    assert (api["resource"], api["scopes_supported"]) == (f"{issuer()}things", ["read:things"])
    for path in ("nothing", "https://api.example/", "authorize"):
        assert Client().get(f"/.well-known/oauth-protected-resource/{path}").status_code == 404


@pytest.mark.spec("RFC 9728", "5.1", "A refusal says where the metadata is")
def test_a_refusal_of_userinfo_says_where_its_metadata_is():
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "DPoP x"}):
        challenge = Client().get("/userinfo", headers=headers).headers["WWW-Authenticate"]
        assert f'resource_metadata="{issuer()}.well-known/oauth-protected-resource/userinfo"' in challenge
