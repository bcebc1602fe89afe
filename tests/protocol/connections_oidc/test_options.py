"""What an administrator may configure, and how it is understood."""

from __future__ import annotations

import pytest

from idp.connections.contract import SignInRequest
from idp.connections.oidc import attributes, issuers, presets, upstream_params
from idp.connections.oidc.options import problems, read
from tests.support.upstreams.oidc import TENANT

BY_HAND = {
    "issuer": "https://login.example.com",
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://login.example.com/token",
    "jwks_uri": "https://login.example.com/keys",
}
DISCOVERED = {"client_id": "c", "discovery_url": "https://login.example.com/.well-known/openid-configuration"}

GOOD = {
    "discovered": ("oidc", DISCOVERED),
    "issuer only": ("oidc", {"client_id": "c", "issuer": "https://login.example.com"}),
    "by hand": ("oidc", {"client_id": "c", **BY_HAND}),
    "okta": ("okta", {"client_id": "c", "domain": "fabrikam.okta.com"}),
    "okta's authorization server": ("okta", {"client_id": "c", "discovery_url": "https://fabrikam.okta.com/oauth2/default/.well-known/openid-configuration"}),
    "google": ("google-oauth2", {"client_id": "c"}),
    "entra by domain": ("waad", {"client_id": "c", "tenant_domain": "fabrikam.onmicrosoft.com"}),
    "entra by id": ("waad", {"client_id": "c", "tenantId": TENANT, "waad_protocol": "openid-connect"}),
    "entra for all": ("waad", {"client_id": "c", "tenant_domain": "common"}),
    "adfs by name": ("adfs", {"client_id": "c", "adfs_server": "adfs.example.com"}),
    "adfs by URL": ("adfs", {"client_id": "c", "adfs_server": "https://adfs.example.com/adfs/ls", "protocol": "oidc"}),
    "everything": (
        "oidc",
        {
            **DISCOVERED,
            "type": "back_channel",
            "scope": ["openid", "groups"],
            "userinfo_endpoint": "https://login.example.com/me",
            "oidc_metadata": {"end_session_endpoint": "https://login.example.com/out"},
            "token_endpoint_auth_method": "client_secret_post",
            "attribute_map": {"mapping_mode": "use_map", "attributes": {"email": "${context.tokenset.mail}"}},
            "id_token_signed_response_algs": ["RS256", "ES256"],
            "id_token_session_expiry_supported": True,
            "upstream_params": {"hd": {"value": "example.com"}},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good_options_have_no_problems(name):
    assert problems(*GOOD[name]) == []


BAD = {
    "client_id: is missing": ("oidc", {"discovery_url": DISCOVERED["discovery_url"]}),
    "discovery_url: give this": ("oidc", {"client_id": "c"}),
    "discovery_url: must end in": ("oidc", {"client_id": "c", "discovery_url": "https://login.example.com/config"}),
    "domain: give the host name": ("okta", {"client_id": "c"}),
    "domain: must be the host name": ("okta", {"client_id": "c", "domain": "ftp://fabrikam.okta.com"}),
    "domain: must be": ("okta", {"client_id": "c", "domain": "a.example/x@evil.example"}),
    "tenantId: give this": ("waad", {"client_id": "c"}),
    "tenantId: must be": ("waad", {"client_id": "c", "tenant_domain": "a/../b"}),
    "waad_protocol: ": ("waad", {"client_id": "c", "tenantId": TENANT, "waad_protocol": "ws-federation"}),
    "adfs_server: give": ("adfs", {"client_id": "c"}),
    "adfs_server: must be": ("adfs", {"client_id": "c", "adfs_server": "a b"}),
    "protocol: must be": ("adfs", {"client_id": "c", "adfs_server": "a.example", "protocol": "wsfed"}),
    "user_id_attribute: ": ("adfs", {"client_id": "c", "adfs_server": "a.example", "user_id_attribute": ["upn"]}),
    "token_endpoint: http is": ("oidc", {**DISCOVERED, "token_endpoint": "http://login.example.com/token"}),
    "jwks_uri: user names": ("oidc", {**DISCOVERED, "jwks_uri": "https://a:b@login.example.com/keys"}),
    "userinfo_endpoint: it must be a URL": ("oidc", {**DISCOVERED, "userinfo_endpoint": 7}),
    "oidc_metadata: must": ("oidc", {**DISCOVERED, "oidc_metadata": []}),
    "oidc_metadata.end_session_endpoint: ": ("oidc", {**DISCOVERED, "oidc_metadata": {"end_session_endpoint": "x"}}),
    "id_token_signed_response_algs: ": ("oidc", {**DISCOVERED, "id_token_signed_response_algs": ["HS256"]}),
    "token_endpoint_auth_method: ": ("oidc", {**DISCOVERED, "token_endpoint_auth_method": "private_key_jwt"}),
    "type: must be": ("oidc", {**DISCOVERED, "type": "front_channel"}),
    "id_token_session_expiry_supported: ": ("oidc", {**DISCOVERED, "id_token_session_expiry_supported": "yes"}),
    "attribute_map: must": ("oidc", {**DISCOVERED, "attribute_map": "x"}),
    "attribute_map: has no key": ("oidc", {**DISCOVERED, "attribute_map": {"mode": "x"}}),
    "attribute_map.mapping_mode: ": ("oidc", {**DISCOVERED, "attribute_map": {"mapping_mode": "x"}}),
    "attribute_map.userinfo_scope: ": ("oidc", {**DISCOVERED, "attribute_map": {"userinfo_scope": []}}),
    "attribute_map.attributes: ": ("oidc", {**DISCOVERED, "attribute_map": {"attributes": []}}),
    "attribute_map.attributes.sub: ": ("oidc", {**DISCOVERED, "attribute_map": {"attributes": {"sub": "x"}}}),
    "attribute_map.attributes.name: must": ("oidc", {**DISCOVERED, "attribute_map": {"attributes": {"name": 1}}}),
    "attribute_map.attributes.name: may": ("oidc", {**DISCOVERED, "attribute_map": {"attributes": {"name": "${user.x}"}}}),
    "upstream_params: must": ("oidc", {**DISCOVERED, "upstream_params": []}),
    "upstream_params.state: ": ("oidc", {**DISCOVERED, "upstream_params": {"state": {"value": "x"}}}),
    "upstream_params.a: must be {": ("oidc", {**DISCOVERED, "upstream_params": {"a": "x"}}),
    "upstream_params.a.alias: ": ("oidc", {**DISCOVERED, "upstream_params": {"a": {"alias": "client_id"}}}),
    "upstream_params.a: must be printable": ("oidc", {**DISCOVERED, "upstream_params": {"a": {"value": "x\n"}}}),
}  # fmt: skip


@pytest.mark.parametrize("sentence", BAD)
def test_bad_options_are_named_with_what_is_wrong(sentence):
    assert [found for found in problems(*BAD[sentence]) if found.startswith(sentence)]


@pytest.mark.parametrize("name", BAD)
def test_bad_options_can_still_be_read(name):
    strategy, options = BAD[name]
    assert read(strategy, options).strategy == strategy


def test_presets_know_where_their_upstream_is():
    assert read("okta", GOOD["okta"][1]).discovery_url == "https://fabrikam.okta.com/.well-known/openid-configuration"
    assert read("google-oauth2", {}).discovery_url == "https://accounts.google.com/.well-known/openid-configuration"
    assert read("adfs", GOOD["adfs by URL"][1]).discovery_url.startswith("https://adfs.example.com/adfs/.well-known/")
    entra = read("waad", GOOD["entra by id"][1])
    assert entra.discovery_url == f"https://login.microsoftonline.com/{TENANT}/v2.0/.well-known/openid-configuration"
    assert entra.issuer == f"https://login.microsoftonline.com/{TENANT}/v2.0"


@pytest.mark.parametrize(
    ("pasted", "host"),
    [
        ("fabrikam.okta.com", "fabrikam.okta.com"),
        (" Fabrikam.okta.com ", "fabrikam.okta.com"),
        ("https://fabrikam.okta.com", "fabrikam.okta.com"),
        ("https://fabrikam.okta.com/", "fabrikam.okta.com"),
        ("http://fabrikam.okta.com/app/UserHome?session_hint=AUTHENTICATED", "fabrikam.okta.com"),
        ("fabrikam.okta.com/", "fabrikam.okta.com"),
        ("https://fabrikam-admin.okta.com/admin/dashboard", "fabrikam.okta.com"),
        ("fabrikam-admin.oktapreview.com", "fabrikam.oktapreview.com"),
        ("https://login-admin.fabrikam.example/", "login-admin.fabrikam.example"),  # a name of their own
        ("https://localhost:8004/", "localhost:8004"),
    ],
)
def test_the_address_of_an_okta_organization_is_understood(pasted, host):
    options = {"client_id": "c", "domain": pasted}
    assert problems("okta", options) == []
    assert read("okta", options).discovery_url == f"https://{host}/.well-known/openid-configuration"
    assert f"https://{host}" in presets.other_revokers("okta", options)


@pytest.mark.parametrize(
    "pasted",
    [
        "https://a@fabrikam.okta.com/",
        "a b",
        "https://",
        "//",
        "fabrikam.okta.com:port",
        "ftp://a.okta.com",
        "https://[",
    ],
)
def test_what_is_no_address_of_an_organization_is_refused(pasted):
    (problem,) = problems("okta", {"client_id": "c", "domain": pasted})
    assert problem.startswith("domain: must be the host name")


def test_the_address_of_an_authorization_server_is_no_domain():
    """Who pasted it means another place to sign in than the organization."""
    options = {"client_id": "c", "domain": "https://fabrikam.okta.com/oauth2/default"}
    (problem,) = problems("okta", options)
    where = "https://fabrikam.okta.com/oauth2/default/.well-known/openid-configuration"
    assert problem.endswith(f"give discovery_url {where}")
    assert problems("okta", {**options, "discovery_url": where}) == []


def test_what_is_given_explicitly_wins():
    known = read("okta", {"domain": "fabrikam.okta.com", **DISCOVERED, **BY_HAND})
    assert known.discovery_url == DISCOVERED["discovery_url"]
    assert known.endpoints["token_endpoint"] == BY_HAND["token_endpoint"]
    assert known.is_manual


@pytest.mark.parametrize("scope", ["groups email", ["groups", "email"], "openid groups email"])
def test_the_scope_always_has_openid(scope):
    assert set(read("oidc", {"scope": scope}).scope.split()) == {"openid", "groups", "email"}


def test_scopes_for_userinfo_are_asked_for_too():
    assert read("oidc", {"attribute_map": {"userinfo_scope": "email phone"}}).scope.endswith("email phone")


def test_issuers_are_compared_as_strings_but_for_two():
    assert issuers.matches("https://a.example", "https://a.example")
    assert not issuers.matches("https://a.example", "https://a.example/")
    assert not issuers.matches("https://a.example", "accounts.google.com")
    assert issuers.matches("https://accounts.google.com", "accounts.google.com")
    template = "https://login.microsoftonline.com/{tenantid}/v2.0"
    assert issuers.matches(template, f"https://login.microsoftonline.com/{TENANT}/v2.0", TENANT)
    assert not issuers.matches(template, f"https://login.microsoftonline.com/{TENANT}/v2.0", "evil")
    assert not issuers.matches(template, template, "{tenantid}")
    assert not issuers.matches(template, f"https://login.microsoftonline.com/{TENANT}/v2.0")


def test_a_map_takes_claims_as_they_are_or_makes_text_of_them():
    mapping = attributes.read(
        {
            "mapping_mode": "use_map",
            "attributes": {
                "groups": "${context.tokenset.roles}",
                "name": "${context.tokenset.given} ${context.userinfo.family}",
                "city": "${context.userinfo.address.city}",
                "role": "${context.tokenset.https://example.com/role}",
                "source": "upstream",
                "nickname": "${context.tokenset.missing}",
                "title": "Dr ${context.tokenset.missing}",
            },
        }
    )
    tokenset = {"roles": ["a", "b"], "given": "Mary", "https://example.com/role": "boss"}
    assert mapping.apply({"tokenset": tokenset, "userinfo": {"family": "Major", "address": {"city": "Ulm"}}}) == {
        "groups": ["a", "b"],
        "name": "Mary Major",
        "city": "Ulm",
        "role": "boss",
        "source": "upstream",
    }
    assert mapping.needs_userinfo


def test_a_claim_that_looks_like_a_reference_is_only_text():
    mapping = attributes.read({"mapping_mode": "use_map", "attributes": {"name": "x ${context.tokenset.a}"}})
    assert mapping.apply({"tokenset": {"a": "${context.tokenset.b}", "b": "secret"}, "userinfo": {}}) == {
        "name": "x ${context.tokenset.b}"
    }


def test_an_alias_without_a_value_is_left_out():
    rules = upstream_params.read({"a": {"alias": "login_hint"}, "b": {"alias": "prompt"}, "c": {"alias": "max_age"}})
    assert upstream_params.resolve(rules, SignInRequest()) == {}
    assert upstream_params.resolve(rules, SignInRequest("mary", True, 0)) == {"a": "mary", "b": "login", "c": "0"}
