"""The rules, without HTTP: what a client may register."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from idp.applications.registration import check
from idp.protocol.errors import ProtocolError
from idp.protocol.registration import (
    ClientMetadata,
    InvalidClientMetadata,
    InvalidRedirectUri,
    parse,
    parse_document,
)

RFC7591 = "RFC 7591"
OIDC = "OpenID Connect Dynamic Client Registration 1.0"
RP_INITIATED = "OpenID Connect RP-Initiated Logout 1.0"
BACK = "OpenID Connect Back-Channel Logout 1.0"
FRONT = "OpenID Connect Front-Channel Logout 1.0"
ISSUER = "https://id.example.com/"
CALLBACK = "https://rp.example/callback"


@pytest.fixture(autouse=True)
def _issuer(settings: Any) -> None:
    settings.ISSUER = ISSUER
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


def judge(document: dict[str, Any]) -> ClientMetadata:
    """Its shape, and then the rulebook, as the endpoint does it."""
    metadata = parse(document)
    check(metadata)
    return metadata


def read(**members: Any) -> ClientMetadata:
    return judge({"redirect_uris": [CALLBACK], **members})


def refused(**members: Any) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(**members)
    return caught.value.error


@pytest.mark.spec(RFC7591, "2", "defaults: client_secret_basic, authorization_code, code")
def test_redirect_uris_alone_give_a_confidential_code_client() -> None:
    metadata = read()
    assert metadata.token_endpoint_auth_method == "client_secret_basic"
    assert metadata.grant_types == ["authorization_code"]
    assert metadata.response_types == ["code"]
    assert metadata.application_type == "web"
    assert metadata.id_token_signed_response_alg == "RS256"


@pytest.mark.spec(RFC7591, "2", "unknown members are ignored")
def test_unknown_members_are_ignored() -> None:
    assert read(colour="blue", software_statement="a.b.c", **{"client_name#fr": "Nom"}) == read()


@pytest.mark.spec(RFC7591, "2", "redirect-based clients must register redirect_uris")
def test_a_code_client_without_redirect_uris_is_refused() -> None:
    with pytest.raises(InvalidRedirectUri):
        judge({})
    assert refused(redirect_uris=[]) == "invalid_redirect_uri"


@pytest.mark.spec(RFC7591, "3.2.2", "invalid_redirect_uri")
@pytest.mark.parametrize(
    "uri",
    [
        "http://rp.example/cb",
        "https://rp.example/cb#x",
        "https://*.rp.example/cb",
        "https://user@rp.example/cb",
        "https://rp.example/c b",
        "https://rp.example/\x00",
        "https://rp.example\\@evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "com.example.app:/cb",
        "",
        "https://rp.example/" + "a" * 1000,
        "https://rp.example/\ud800",
        7,
        None,
    ],
)
def test_a_redirect_uri_that_could_mislead_is_refused(uri: Any) -> None:
    assert refused(redirect_uris=[uri]) == "invalid_redirect_uri"


def test_one_bad_redirect_uri_among_good_ones_is_refused() -> None:
    assert refused(redirect_uris=[CALLBACK, "http://rp.example/cb"]) == "invalid_redirect_uri"


@pytest.mark.parametrize("value", ["https://rp.example/cb", {}, 1, True, [CALLBACK + str(n) for n in range(51)]])
def test_redirect_uris_must_be_a_short_array(value: Any) -> None:
    assert refused(redirect_uris=value) == "invalid_redirect_uri"


def test_repeated_redirect_uris_count_once() -> None:
    assert read(redirect_uris=[CALLBACK, CALLBACK]).redirect_uris == [CALLBACK]


@pytest.mark.spec(OIDC, "2", "application_type native may use its own scheme and loopback")
def test_a_native_application_may_have_its_own_scheme() -> None:
    uris = ["com.example.app:/cb", "http://127.0.0.1/cb", "http://[::1]:5000/cb"]
    assert read(application_type="native", redirect_uris=uris, token_endpoint_auth_method="none").redirect_uris == uris


@pytest.mark.spec(RFC7591, "2.1", "grant_types and response_types correspond")
@pytest.mark.parametrize(
    "members",
    [
        {"grant_types": ["implicit"]},
        {"grant_types": ["password"]},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:jwt-bearer"]},
        {"grant_types": "authorization_code"},
        {"response_types": ["token"]},
        {"response_types": ["id_token"]},
        {"response_types": ["code id_token"]},
        {"response_types": []},
        {"grant_types": ["refresh_token"], "response_types": ["code"]},
    ],
)
def test_grants_and_response_types_that_we_do_not_give_are_refused(members: dict[str, Any]) -> None:
    assert refused(**members) == "invalid_client_metadata"


def test_a_device_needs_no_redirect_uri() -> None:
    device = "urn:ietf:params:oauth:grant-type:device_code"
    metadata = judge({"grant_types": [device], "token_endpoint_auth_method": "none"})
    assert metadata.response_types == []


@pytest.mark.spec(RFC7591, "3.2.2", "invalid_client_metadata")
@pytest.mark.parametrize(
    "members",
    [
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": ["none"]},
        {"application_type": "desktop"},
        {"subject_type": "ephemeral"},
        {"subject_type": "pairwise", "redirect_uris": [CALLBACK, "https://other.example/callback"]},
        {"sector_identifier_uri": "http://rp.example/sector.json"},
        {"sector_identifier_uri": "https://10.0.0.1/sector.json"},
        {"id_token_encrypted_response_alg": "RSA1_5", "id_token_encrypted_response_enc": "A256GCM"},
        {"id_token_encrypted_response_alg": "ECDH-ES", "jwks_uri": "https://rp.example/jwks.json"},
        {"id_token_encrypted_response_enc": "A256GCM"},
        {"dpop_bound_access_tokens": "yes"},
        {"require_pushed_authorization_requests": 1},
        {"id_token_signed_response_alg": "none"},
        {"id_token_signed_response_alg": "HS256"},
        {"client_name": "x" * 101},
        {"client_name": "two\nlines"},
        {"client_name": "right\u202eleft"},
        {"client_name": "nul\x00"},
        {"client_name": "half \ud800"},
        {"client_name": 5},
        {"logo_uri": "http://rp.example/logo.png"},
        {"logo_uri": "data:image/png;base64,AAAA"},
        {"client_uri": "javascript:alert(1)"},
        {"policy_uri": "rp.example/policy"},
        {"tos_uri": 1},
        {"initiate_login_uri": "http://rp.example/login"},
        {"contacts": "mail@rp.example"},
        {"contacts": ["a\nb"]},
        {"backchannel_logout_session_required": "true"},
        {"frontchannel_logout_session_required": 1},
    ],
)
def test_a_value_that_is_not_right_is_refused(members: dict[str, Any]) -> None:
    assert refused(**members) == "invalid_client_metadata"


def test_what_it_says_about_itself_is_kept() -> None:
    about = {
        "client_uri": "https://rp.example/",
        "initiate_login_uri": "https://rp.example/login",
        "contacts": ["ops@rp.example"],
        "software_id": "4NRB1",
        "software_version": "2.1",
    }
    assert read(**about).about == about


# --- keys -------------------------------------------------------------------------------------------------------------
def public(key: RSAKey | ECKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


@pytest.mark.spec(OIDC, "2", "private_key_jwt with jwks or jwks_uri")
def test_private_key_jwt_takes_public_keys_by_value() -> None:
    keys = {"keys": [public(RSAKey.generate_key(2048)), public(ECKey.generate_key("P-256"))]}
    metadata = read(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    assert metadata.jwks is not None
    assert [key["kty"] for key in metadata.jwks["keys"]] == ["RSA", "EC"]


@pytest.mark.spec(OIDC, "2", "private_key_jwt with jwks or jwks_uri")
def test_private_key_jwt_takes_keys_by_reference() -> None:
    metadata = read(token_endpoint_auth_method="private_key_jwt", jwks_uri="https://rp.example/jwks.json")
    assert metadata.jwks_uri == "https://rp.example/jwks.json"


def test_private_key_jwt_without_keys_is_refused() -> None:
    assert refused(token_endpoint_auth_method="private_key_jwt") == "invalid_client_metadata"


@pytest.mark.spec(RFC7591, "2", "jwks and jwks_uri exclude each other")
def test_jwks_and_jwks_uri_exclude_each_other() -> None:
    keys = {"keys": [public(ECKey.generate_key("P-256"))]}
    assert refused(jwks=keys, jwks_uri="https://rp.example/jwks.json") == "invalid_client_metadata"


@pytest.mark.parametrize(
    "jwks",
    [
        [],
        {},
        {"keys": []},
        {"keys": "x"},
        {"keys": [1]},
        {"keys": [{}]},
        {"keys": [{"kty": "unknown"}]},
        {"keys": [{"kty": ["RSA"]}]},
        {"keys": [dict(OctKey.generate_key(256).as_dict(private=True))]},
        {"keys": [dict(ECKey.generate_key("P-256").as_dict(private=True))]},
    ],
)
def test_keys_that_are_none_private_or_symmetric_are_refused(jwks: Any) -> None:
    assert refused(token_endpoint_auth_method="private_key_jwt", jwks=jwks) == "invalid_client_metadata"


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA", "n": "AQAB"},
        {"kty": "RSA", "n": 1, "e": 2},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
    ],
)
def test_a_key_that_cannot_be_read_is_refused(key: dict[str, Any]) -> None:
    assert refused(jwks={"keys": [key]}) == "invalid_client_metadata"


def test_a_small_rsa_key_is_refused() -> None:
    with pytest.warns(SecurityWarning):
        small = public(RSAKey.generate_key(1024))
    with pytest.warns(SecurityWarning):
        assert refused(jwks={"keys": [small]}) == "invalid_client_metadata"


# --- logout metadata ----------------------------------------------------------------------------------------------------
@pytest.mark.spec(RP_INITIATED, "3.1", "R16 post_logout_redirect_uris is client metadata")
def test_post_logout_redirect_uris_are_registered() -> None:
    assert read(post_logout_redirect_uris=["https://rp.example/out"]).post_logout_redirect_uris == [
        "https://rp.example/out"
    ]


@pytest.mark.spec(RP_INITIATED, "3.1", "R15 http only for confidential clients")
def test_http_after_logout_is_for_confidential_clients_on_loopback() -> None:
    uris = ["http://localhost:9000/out"]
    assert read(post_logout_redirect_uris=uris).post_logout_redirect_uris == uris
    public_client = {"token_endpoint_auth_method": "none", "post_logout_redirect_uris": uris}
    assert refused(**public_client) == "invalid_client_metadata"


@pytest.mark.spec(RP_INITIATED, "3.1", "R15 custom schemes for native applications")
def test_only_a_native_application_may_return_to_its_own_scheme() -> None:
    uris = ["com.example.app:/out"]
    native = {"application_type": "native", "token_endpoint_auth_method": "none"}
    assert read(**native, post_logout_redirect_uris=uris).post_logout_redirect_uris == uris
    assert refused(post_logout_redirect_uris=uris) == "invalid_client_metadata"


@pytest.mark.parametrize(
    "uri",
    ["https://rp.example/out?state=1", "https://rp.example/out?iss=x", "https://*.rp.example/out", "//rp.example"],
)
def test_a_post_logout_uri_that_clashes_with_our_answer_is_refused(uri: str) -> None:
    assert refused(post_logout_redirect_uris=[uri]) == "invalid_client_metadata"


@pytest.mark.spec(BACK, "2.2", "B2 backchannel_logout_uri is absolute, has no fragment, keeps its query")
def test_a_backchannel_uri_keeps_its_query() -> None:
    metadata = read(backchannel_logout_uri="https://rp.example/bcl?tenant=1", backchannel_logout_session_required=True)
    assert metadata.backchannel_logout_uri == "https://rp.example/bcl?tenant=1"
    assert metadata.backchannel_logout_session_required


@pytest.mark.spec(BACK, "2.2", "B2 backchannel_logout_session_required is false by default")
def test_session_required_is_false_by_default() -> None:
    assert not read(backchannel_logout_uri="https://rp.example/bcl").backchannel_logout_session_required
    assert not read(frontchannel_logout_uri="https://rp.example/fcl").frontchannel_logout_session_required


@pytest.mark.spec(
    BACK, "2.2", "B2 backchannel_logout_uri is absolute, has no fragment, http for confidential clients only"
)
@pytest.mark.parametrize(
    "members",
    [
        {"backchannel_logout_uri": "https://rp.example/bcl#x"},
        {"backchannel_logout_uri": "/bcl"},
        {"backchannel_logout_uri": "ftp://rp.example/bcl"},
        {"backchannel_logout_uri": "https://rp.example:6379/bcl"},
        {"backchannel_logout_uri": "http://localhost/bcl", "token_endpoint_auth_method": "none"},
        {"backchannel_logout_uri": ["https://rp.example/bcl"]},
    ],
)
def test_a_backchannel_uri_that_we_must_not_call_is_refused(members: dict[str, Any]) -> None:
    assert refused(**members) == "invalid_client_metadata"


@pytest.mark.spec(FRONT, "2", "F1 frontchannel_logout_uri has scheme, host and port of a redirect URI")
@pytest.mark.parametrize(
    "uri",
    [
        "https://other.example/fcl",
        "https://sub.rp.example/fcl",
        "https://rp.example:8443/fcl",
        "http://rp.example/fcl",
        "https://rp.example/fcl#x",
        "https://rp.example/fcl?sid=1",
        "https://rp.example/fcl?iss=1",
        "https://rp.example/fcl;script-src",
        "/fcl",
    ],
)
def test_a_frontchannel_uri_elsewhere_than_the_redirect_uris_is_refused(uri: str) -> None:
    assert refused(frontchannel_logout_uri=uri) == "invalid_client_metadata"


@pytest.mark.spec(
    FRONT, "2", "F1 frontchannel_logout_uri has scheme, host and port of a redirect URI, its query is kept"
)
@pytest.mark.spec(FRONT, "2", "F2 frontchannel_logout_session_required is client metadata")
def test_a_frontchannel_uri_beside_the_redirect_uri_is_registered() -> None:
    metadata = read(frontchannel_logout_uri="https://rp.example/fcl?t=1", frontchannel_logout_session_required=True)
    assert metadata.frontchannel_logout_uri == "https://rp.example/fcl?t=1"
    assert metadata.frontchannel_logout_session_required


def test_nobody_registers_a_page_of_ours_as_frontchannel_uri() -> None:
    own = {"redirect_uris": [f"{ISSUER}cb"], "frontchannel_logout_uri": f"{ISSUER}fcl"}
    assert refused(**own) == "invalid_client_metadata"


# --- the document ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"client_name": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"jwks": {"keys": [], "keys": []}}',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"a":' * 20_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_not_one_plain_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidClientMetadata):
        parse_document(body)


@pytest.mark.spec("RFC 7592", "2.2", "null and empty values count as omitted")
def test_null_and_empty_values_count_as_omitted() -> None:
    document = parse_document(json.dumps({"redirect_uris": [CALLBACK], "logo_uri": None, "client_name": ""}).encode())
    assert document == {"redirect_uris": [CALLBACK]}
