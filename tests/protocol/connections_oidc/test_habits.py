"""What providers answer by specification and by habit, told apart from what must be refused."""

from __future__ import annotations

import gzip
import json
import time
import zlib

import pytest

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import discovery, keys
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.wire import Deadline
from tests.protocol.connections_oidc.conftest import connect
from tests.protocol.connections_oidc.support import gives, refusal, sign_in
from tests.support.upstreams.scripted_oidc import ABSENT, CLIENT, WELL_KNOWN, ec_key, rsa_key, sign, unsigned

pytestmark = pytest.mark.once
ENDPOINTS = (WELL_KNOWN, "/jwks", "/token", "/userinfo")


@pytest.fixture
def says(provider):
    """An answer of each endpoint as a good one, to be sent in some other way; the ID token lacks what UserInfo has."""
    provider.userinfo = {"sub": "mary", "email": "mary@fabrikamcorp.com", "email_verified": True, "name": "Mary Müller"}
    gives(provider, lambda: provider.id_token(email=ABSENT, name=ABSENT))
    return provider


def in_another_way(provider, path, send):
    """`send` makes the body from the document."""
    usual = provider.answer

    def answer(asked, form):
        status, document = usual(asked, form)
        if asked == path:
            provider.bodies[path] = send(document)
        return status, document

    provider.answer = answer


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def as_json(document):
    return json.dumps(document, ensure_ascii=False).encode()


WAYS = {
    "gzip though nobody asked": (lambda data: gzip.compress(as_json(data)), {"Content-Encoding": "gzip"}),
    "x-gzip": (lambda data: gzip.compress(as_json(data)), {"Content-Encoding": "X-GZip"}),
    "deflate": (lambda data: zlib.compress(as_json(data)), {"Content-Encoding": "deflate"}),
    "raw deflate": (lambda data: raw_deflate(as_json(data)), {"Content-Encoding": "deflate"}),
    "identity": (as_json, {"Content-Encoding": "identity"}),
    "a charset as coding": (as_json, {"Content-Encoding": "UTF-8"}),
    "none as coding": (as_json, {"Content-Encoding": "none"}),
    "a date of no calendar": (as_json, {"Date": "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"}),
    "charset": (as_json, {"Content-Type": "application/json;charset=UTF-8"}),
    "quoted charset": (as_json, {"Content-Type": 'application/json; charset="utf-8"'}),
    "another type": (as_json, {"Content-Type": "text/html"}),
    "no type": (as_json, {"Content-Type": ""}),
    "byte order mark": (lambda data: b"\xef\xbb\xbf" + as_json(data), {}),
    "white space": (lambda data: b"\r\n " + as_json(data) + b"\n\n", {}),
    "latin": (
        lambda data: as_json(data).decode().encode("iso-8859-1"),
        {"Content-Type": "application/json; charset=ISO-8859-1"},
    ),
}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_may_come_in_another_way_than_we_asked_for_it(says, connection, path, way):
    send, headers = WAYS[way]
    in_another_way(says, path, send)
    says.response_headers[path] = headers
    account = sign_in(says, connection)
    assert (account.email, account.email_verified) == ("mary@fabrikamcorp.com", True)
    assert account.profile["name"] == "Mary Müller"


NOT = {
    "a coding that we do not know": (as_json, {"Content-Encoding": "br"}, "coding br"),
    "not what it says": (as_json, {"Content-Encoding": "gzip"}, "is not gzip"),
    "two codings": (lambda data: gzip.compress(as_json(data)), {"Content-Encoding": "gzip, gzip"}, "coding gzip, gzip"),
    "cut off": (lambda data: gzip.compress(as_json(data))[:-9], {"Content-Encoding": "gzip"}, "ends too early"),
    "a few bytes that hold gigabytes": (
        lambda _: gzip.compress(b" " * 5_000_000),
        {"Content-Encoding": "gzip"},
        "answered more than",
    ),
}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("way", NOT)
def test_what_cannot_be_unpacked_within_the_limit_is_a_sentence(says, connection, path, way):
    send, headers, sentence = NOT[way]
    in_another_way(says, path, send)
    says.response_headers[path] = headers
    assert sentence in refusal(says, connection)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_letters_of_no_charset_that_is_named_are_refused(says, connection, path):
    in_another_way(says, path, lambda data: as_json({**data, "x": "ü"}).decode().encode("iso-8859-1"))
    assert "that can be read" in refusal(says, connection)


@pytest.mark.parametrize("path", [WELL_KNOWN, "/jwks", "/userinfo"])
def test_an_error_that_comes_with_200_is_told_as_one(says, connection, path):
    says.bodies[path] = as_json({"error": "slow_down", "error_description": "too\nmany requests"})
    assert "slow_down: too many requests" in refusal(says, connection)


def test_an_error_of_the_token_endpoint_that_comes_with_200_is_told_as_one(says, connection):
    says.token_answer = lambda _: (200, {"error": "invalid_grant"})
    assert "refused us (invalid_grant): the code was used before" in refusal(says, connection)


@pytest.mark.parametrize("lifetime", ["3600", "3600.0", "", 3600.5, None, ABSENT, 0])
def test_a_lifetime_may_be_text_or_missing(says, connection, lifetime):
    more = {} if lifetime is ABSENT else {"expires_in": lifetime}
    gives(says, says.id_token, **more)
    assert sign_in(says, connection).sub == "mary"


@pytest.mark.parametrize(
    ("value", "verified"),
    [
        *((value, True) for value in (True, "true", "True", 1)),
        *((value, False) for value in (False, None, "false", "0", "yes", [True], {"a": 1}, 2)),
    ],
)
def test_email_verified_may_be_text(says, connection, value, verified):
    gives(says, lambda: says.id_token(email_verified=value))
    assert sign_in(says, connection).email_verified is verified


def test_what_userinfo_verified_is_not_said_of_another_address(says, connection):
    gives(says, lambda: says.id_token(email="boss@fabrikamcorp.com", email_verified=ABSENT, name=ABSENT))
    account = sign_in(says, connection)
    assert says.hits["/userinfo"] == 1
    assert (account.email, account.email_verified) == ("boss@fabrikamcorp.com", False)


# --- UserInfo as a signed JWT (Core 5.3.2) -----------------------------------------------------------------------------


def signed(says, *, key=None, header=None, **changes):
    claims = {"iss": says.issuer, "aud": CLIENT, **says.userinfo, **changes}
    kept = {name: value() if callable(value) else value for name, value in claims.items() if value is not ABSENT}
    return sign(json.dumps(kept).encode(), key or says.keys[0], **(header or {}))


def in_seconds(seconds):
    """A claim that is made when the token is."""
    return lambda: time.time() + seconds


def userinfo_is(says, token, kind="application/jwt"):
    says.bodies["/userinfo"] = token.encode()
    says.response_headers["/userinfo"] = {"Content-Type": kind}


@pytest.mark.spec("OpenID Connect Core 1.0", "5.3.2", "UserInfo may be a signed JWT")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"iss": ABSENT, "aud": ABSENT},
        {"aud": ["another", CLIENT]},
        {"exp": in_seconds(600), "iat": in_seconds(0)},
        {"header": {"typ": ABSENT, "kid": ABSENT}},
        {"header": {"typ": "JWT"}},
        {"exp": in_seconds(-30)},
    ],
)
@pytest.mark.parametrize("kind", ["application/jwt", "application/jwt; charset=utf-8", "application/json"])
def test_userinfo_may_be_a_jwt_that_the_upstream_signed(says, connection, changes, kind):
    userinfo_is(says, signed(says, **changes), kind)
    account = sign_in(says, connection)
    assert (account.email, account.email_verified) == ("mary@fabrikamcorp.com", True)
    assert account.profile["name"] == "Mary Müller"


def test_a_new_key_of_it_is_found(says, connection):
    sign_in(says, connection)
    says.keys.append(rsa_key("two"))
    userinfo_is(says, signed(says, key=rsa_key("two")))
    assert sign_in(says, connection).email == "mary@fabrikamcorp.com"


FORGED = {
    "somebody else": ({"sub": "eve"}, "speaks of somebody else"),
    "nobody": ({"sub": ABSENT}, "speaks of somebody else"),
    "another key": ({"key": rsa_key("attacker")}, "is signed by key attacker"),
    "another key by the same name": ({"key": rsa_key("attacker"), "header": {"kid": "one"}}, "the signature is wrong"),
    "another issuer": ({"iss": "https://evil.example"}, "is from another issuer"),
    "another audience": ({"aud": "another"}, "is for somebody else"),
    "expired": ({"exp": in_seconds(-120)}, "expired"),
    "from the future": ({"iat": in_seconds(3600)}, "is from the future"),
    "expiry as text": ({"exp": "9999999999"}, "says no times in seconds"),
    "another kind of token": ({"header": {"typ": "logout+jwt"}}, "is of another type"),
    "an algorithm that the connection does not take": ({"key": ec_key("one")}, "is signed with ES256"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_userinfo_jwt_that_says_something_wrong_signs_nobody_in(says, connection, name):
    changes, sentence = FORGED[name]
    userinfo_is(says, signed(says, **changes))
    assert sentence in refusal(says, connection)


@pytest.mark.parametrize("token", ["none", "jwe", "half", "text"])
def test_what_only_looks_like_a_userinfo_jwt_signs_nobody_in(says, connection, token):
    body = {
        "none": unsigned({"sub": "mary", "email": "mary@fabrikamcorp.com"}),
        "jwe": ".".join("abcde"),
        "half": signed(says).rpartition(".")[0],
        "text": "hello",
    }[token]
    userinfo_is(says, body)
    assert "The UserInfo answer" in refusal(says, connection)


# --- key sets and discovery documents ----------------------------------------------------------------------------------


def test_a_key_set_may_hold_what_we_do_not_understand(says, connection):
    strange = [{"kty": "AKP", "pub": "AA", "kid": "one"}, {"kty": "RSA", "kid": "one"}, "x", {"kty": "oct", "k": "AA"}]
    good = rsa_key("one").as_dict(private=False)
    says.bodies["/jwks"] = as_json({"keys": [*strange, {**good, "x5t": 1, "key_ops": ["verify"]}], "vendor": True})
    assert sign_in(says, connection).sub == "mary"


def test_a_discovery_document_may_hold_lists_where_it_should_not_and_names_that_nobody_knows(says):
    says.metadata |= {"token_endpoint_auth_methods_supported": "client_secret_post", "x": [1, {"y": None}]}
    says.metadata["frontchannel_logout_supported"] = "true"
    upstream = discovery.provider(oidc_options.of(connect(says)), Deadline())
    assert upstream.auth_methods == ()
    assert not upstream.frontchannel_logout


@pytest.mark.parametrize("name", ["issuer", "jwks_uri", "token_endpoint"])
def test_an_address_of_another_type_is_refused(says, connection, name):
    says.metadata[name] = [says.metadata[name]]
    keys.forget()
    with pytest.raises(UpstreamFault):
        sign_in(says, connection)
