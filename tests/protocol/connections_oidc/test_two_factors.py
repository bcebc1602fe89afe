"""How an OpenID provider is asked for two factors, and which of its words count as two."""

from __future__ import annotations

import pytest

from idp.connections import option_types
from idp.connections.contract import UpstreamRefused, UpstreamUnmet
from idp.connections.oidc import options as oidc_options
from idp.protocol.assurance import MICROSOFT_MFA, OKTA_MFA, PAPE_MULTI_FACTOR
from tests.protocol.connections_oidc.conftest import connect
from tests.protocol.connections_oidc.support import depart, gives, sign_in


@pytest.mark.parametrize(
    ("strategy", "options", "asked"),
    [
        ("oidc", {}, PAPE_MULTI_FACTOR),
        ("okta", {}, OKTA_MFA),
        ("adfs", {}, MICROSOFT_MFA),
        ("oidc", {"mfa_acr_values": ["gold", "silver"]}, "gold silver"),
        ("oidc", {"mfa_acr_values": "gold"}, PAPE_MULTI_FACTOR),  # what the rulebook refuses is as if it were not there
        ("google-oauth2", {}, None),
        ("waad", {}, None),
        ("waad", {"mfa_acr_values": ["c1"]}, "c1"),
    ],
)
def test_each_provider_is_asked_in_its_own_words(provider, strategy, options, asked):
    trusting = connect(provider, strategy, trust_upstream_mfa=True, **options)
    assert depart(trusting, two_factors=True)[1].get("acr_values") == asked
    assert "acr_values" not in depart(trusting)[1]
    assert "acr_values" not in depart(connect(provider, strategy, **options), two_factors=True)[1]


def test_what_an_application_asks_for_by_other_names_comes_first(provider):
    trusting = connect(provider, trust_upstream_mfa=True, upstream_params={"level": {"alias": "acr_values"}})
    asked = depart(trusting, two_factors=True, acr_values="2 urn:example:silver multi-factor")[1]
    assert asked["acr_values"] == asked["level"] == f"urn:example:silver {PAPE_MULTI_FACTOR}"
    assert depart(connect(provider), two_factors=True, acr_values="2 urn:a")[1]["acr_values"] == "2 urn:a"


@pytest.mark.parametrize(("acr", "several"), [("gold", True), ("Gold", False), (PAPE_MULTI_FACTOR, True), ("2", False)])
def test_what_it_was_asked_for_counts_when_it_comes_back(provider, acr, several):
    gives(provider, lambda: provider.id_token(acr=acr))
    options = {"mfa_acr_values": ["gold"]}
    assert sign_in(provider, connect(provider, trust_upstream_mfa=True, **options)).has_proved_several is several
    assert sign_in(provider, connect(provider, **options)).has_proved_several is False


@pytest.mark.spec(
    "OpenID Connect Core Error Code unmet_authentication_requirements 1.0", "3", "An upstream that cannot says so"
)
def test_a_provider_that_cannot_is_told_from_one_that_will_not(provider, connection):
    for error, kind in (("unmet_authentication_requirements", UpstreamUnmet), ("access_denied", UpstreamRefused)):
        with pytest.raises(UpstreamRefused) as caught:
            sign_in(provider, connection, {"error": error})
        assert (type(caught.value), caught.value.error) == (kind, error)


@pytest.mark.parametrize("wrong", ["gold", ["two words"], [""], ["x" * 256], [7], ["a\x07"]])
def test_names_that_cannot_be_sent_are_refused(provider, wrong):
    assert option_types.problem("mfa_acr_values", wrong)
    assert not option_types.problem("mfa_acr_values", ["gold", "urn:example:2fa"])
    assert oidc_options.of(connect(provider)).mfa_acr_values == (PAPE_MULTI_FACTOR,)
