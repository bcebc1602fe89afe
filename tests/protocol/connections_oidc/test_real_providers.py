"""Sign-in through real providers (npm oidc-provider 9 and 6), with the habits of Okta, Google, Entra ID and ADFS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from idp.connections.contract import Account, SignInRequest, UpstreamFault, UpstreamRefused
from idp.connections.oidc import discovery
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.check import check
from idp.connections.options import secret_context
from idp.connections.registry import REDIRECT_PROTOCOLS
from idp.crypto.sealing import seal
from idp.models import Connection
from idp.outbound import web
from idp.protocol.assurance import PAPE_MULTI_FACTOR
from idp.protocol.params import from_urlencoded
from tests.support.upstreams import oidc
from tests.support.upstreams.oidc import EVE, MARY, REFUSAL, TENANT, Kind, OidcProvider, Visitor
from tests.support.upstreams.scripted_oidc import SECRET, ec_key, rsa_key

pytestmark = pytest.mark.once
CALLBACK = "http://localhost:8000/login/callback"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., OidcProvider]:
    started: list[OidcProvider] = []

    def start(kind: Kind, **client: object) -> OidcProvider:
        upstream = OidcProvider(tmp_path, kind, redirect_uri=CALLBACK, **client)
        started.append(upstream.__enter__())
        return upstream

    yield start
    for upstream in started:
        upstream.__exit__()


def connect(upstream: OidcProvider, **options: object) -> Connection:
    sealed = {"client_secret": seal(SECRET, secret_context("Acme", "client_secret"))}
    given = {**upstream.options, **options}
    return Connection(
        name="Acme", display_name="Acme", strategy=upstream.kind.strategy, options=given, sealed_options=sealed
    )


def sign_in(
    connection: Connection, visitor: Visitor | None = None, login: str = MARY, wishes: SignInRequest | None = None
) -> Account:
    protocol = REDIRECT_PROTOCOLS[connection.strategy]
    at = datetime.now(UTC)
    departure = protocol.depart(connection, wishes or SignInRequest(), state="st-1", callback=CALLBACK, at=at)
    answer = (visitor or Visitor()).answer(departure.url, CALLBACK, login)
    params = from_urlencoded(urlsplit(answer).query)
    assert params["state"] == "st-1"
    return protocol.arrive(connection, departure.flow_data, params, callback=CALLBACK, at=datetime.now(UTC))


@pytest.mark.parametrize("kind", [make() for make in oidc.KINDS], ids=lambda kind: kind.title)
def test_the_options_of_every_kind_are_without_problems(kind):
    assert (
        oidc_options.problems(kind.strategy, {"client_id": "x", **kind.at("http://localhost:8009", kind.options)}) == []
    )


@pytest.mark.parametrize("major", [9, 6])
def test_any_provider(run, major):
    account = sign_in(connect(run(oidc.generic(major))))
    assert account.sub == MARY
    assert (account.email, account.email_verified) == ("mary@fabrikamcorp.com", True)
    assert account.profile["name"] == "Mary Major"


def test_okta_keeps_the_profile_at_its_userinfo_endpoint(run):
    account = sign_in(connect(run(oidc.okta())))
    assert account.sub == MARY
    assert account.email == "mary@fabrikamcorp.com"
    assert account.profile["groups"] == ["Everyone", "Sales"]


def test_google_is_known_by_its_own_issuer(run):
    account = sign_in(connect(run(oidc.google())))
    assert account.upstream["iss"] == "https://accounts.google.com"
    assert account.email_verified
    assert account.profile["hd"] == "fabrikamcorp.com"


def test_entra_accounts_are_known_by_their_object_id_and_their_address_is_not_trusted(run):
    account = sign_in(connect(run(oidc.entra())))
    assert account.sub == "0f4f9a7e-7a0d-4d8e-8f66-6a7c4a1c9b01"
    assert account.upstream["sub"] != account.sub
    assert (account.email, account.email_verified) == ("mary@fabrikamcorp.com", False)
    assert account.profile["tid"] == TENANT


def test_entra_for_every_directory_keeps_the_directory_in_the_id(run):
    account = sign_in(connect(run(oidc.entra_common())))
    assert account.sub == f"{TENANT}:0f4f9a7e-7a0d-4d8e-8f66-6a7c4a1c9b01"


def test_entra_for_every_directory_does_not_believe_one_directory_about_another(run):
    upstream = run(oidc.entra_common())
    upstream.accounts[MARY]["tid"] = "11111111-1111-4111-8111-111111111111"
    upstream.rotate(rsa_key("one"))
    with pytest.raises(UpstreamFault, match="is from another issuer"):
        sign_in(connect(upstream))


def test_adfs_people_have_a_upn(run):
    account = sign_in(connect(run(oidc.adfs())))
    assert (account.email, account.email_verified) == ("mary@fabrikamcorp.com", False)
    assert account.profile["unique_name"] == "FABRIKAM\\mary"


def test_adfs_people_may_be_known_by_an_attribute(run):
    account = sign_in(connect(run(oidc.adfs()), user_id_attribute="upn"))
    assert account.sub == "mary@fabrikamcorp.com"


@pytest.mark.parametrize("major", [9, 6])
def test_somebody_who_is_not_assigned_hears_it_in_the_providers_words(run, major):
    with pytest.raises(UpstreamRefused) as caught:
        sign_in(connect(run(oidc.generic(major))), login=EVE)
    assert caught.value.sentence == REFUSAL


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_every_way_to_authenticate_is_understood(run, method):
    upstream = run(oidc.generic(), token_endpoint_auth_method=method)
    assert sign_in(connect(upstream, token_endpoint_auth_method=method)).sub == MARY


def test_a_secret_with_odd_characters_survives_basic(run):
    secret = "a:b c%+/=&~"
    connection = connect(run(oidc.generic(), client_secret=secret))
    connection.sealed_options = {"client_secret": seal(secret, secret_context("Acme", "client_secret"))}
    assert sign_in(connection).sub == MARY


@pytest.mark.parametrize("major", [9, 6])
def test_prompt_and_max_age_make_the_provider_say_when(run, major):
    connection, visitor = connect(run(oidc.generic(major))), Visitor()
    assert sign_in(connection, visitor).auth_time is None
    first = sign_in(connection, visitor, wishes=SignInRequest(max_age=600)).auth_time
    again = sign_in(connection, visitor, wishes=SignInRequest(force=True)).auth_time
    assert first
    assert again
    assert again >= first


@pytest.mark.parametrize("major", [9, 6])
def test_two_factors_are_asked_for_and_proved(run, major):
    kind = replace(oidc.generic(major), acr_values=(PAPE_MULTI_FACTOR, "gold"))
    upstream = run(kind)
    for more in ({}, {"mfa_acr_values": ["gold"]}):
        trusting = connect(upstream, trust_upstream_mfa=True, **more)
        assert sign_in(trusting, wishes=SignInRequest(two_factors=True)).has_proved_several
        assert not sign_in(trusting).has_proved_several
    assert not sign_in(connect(upstream), wishes=SignInRequest(two_factors=True)).has_proved_several


def test_an_account_can_be_chosen(run):
    connection = connect(run(oidc.generic()), scope="openid")
    assert sign_in(connection, login="bob", wishes=SignInRequest(select_account=True)).sub == "bob"


def test_the_session_upstream_has_a_name_where_logout_needs_one(run):
    upstream = run(
        oidc.generic(),
        backchannel_logout_uri="http://localhost:8000/backchannel-logout/Acme",
        backchannel_logout_session_required=True,
    )
    assert len(sign_in(connect(upstream)).upstream_sid) > 8


def test_keys_that_a_real_provider_rotates_are_followed(run):
    upstream = run(oidc.generic())
    connection = connect(upstream)
    sign_in(connection)
    upstream.rotate(rsa_key("two"))
    assert sign_in(connection).sub == MARY


def test_other_algorithms_are_agreed_upon(run):
    upstream = run(oidc.generic(), id_token_signed_response_alg="ES256")
    upstream.rotate(ec_key("e"), rsa_key("one"))
    assert sign_in(connect(upstream, id_token_signed_response_algs=["ES256"])).sub == MARY


def test_over_tls_only_a_trusted_certificate_will_do(tmp_path, monkeypatch):
    """The presets of Okta and ADFS lead to https by a host name alone."""
    authority = trustme.CA()
    pem, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(ca)
    kind = oidc.okta()
    with OidcProvider(tmp_path, kind, redirect_uri=CALLBACK, tls=pem) as upstream:
        connection = connect(upstream, domain=f"localhost:{upstream.port}")
        del connection.options["discovery_url"]
        with pytest.raises(UpstreamFault, match="has no TLS certificate that we trust"):
            sign_in(connection, Visitor(ca))
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        monkeypatch.setattr(web, "shared_tls", ssl.create_default_context)
        discovery.forget()
        assert sign_in(connection, Visitor(ca)).sub == MARY


def levels(connection: Connection) -> set[str]:
    return {finding.level for finding in check(connection)}


def test_a_good_connection_is_found_to_be_good(run):
    findings = check(connect(run(oidc.generic())))
    assert {finding.level for finding in findings} == {"ok"}
    assert any("recognises client_id and client_secret" in finding.text for finding in findings)


def test_a_wrong_secret_is_found_before_anybody_signs_in(run):
    connection = connect(run(oidc.generic()))
    connection.sealed_options = {"client_secret": seal("wrong", secret_context("Acme", "client_secret"))}
    assert any(finding.level == "error" and "invalid_client" in finding.text for finding in check(connection))


def test_a_provider_without_logout_is_a_warning(run):
    assert levels(connect(run(oidc.google()))) == {"ok", "warning"}


def test_a_provider_that_is_away_is_an_error_with_its_address(run):
    upstream = run(oidc.generic())
    upstream.stop()
    findings = check(connect(upstream))
    assert [finding.level for finding in findings] == ["error"]
    assert f"localhost:{upstream.port}" in findings[0].text
