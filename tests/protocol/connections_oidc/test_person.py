"""Who somebody is by the claims of their upstream."""

from __future__ import annotations

import pytest

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import person
from idp.connections.oidc.options import read
from idp.models import Connection, Identity
from idp.people import identities
from tests.protocol.connections_oidc.conftest import connect
from tests.protocol.connections_oidc.support import gives, now, refusal, sign_in
from tests.support.upstreams.oidc import TENANT
from tests.support.upstreams.scripted_oidc import ABSENT

MARY = {"sub": "m", "email": "mary@fabrikamcorp.com", "name": "Mary"}


def address(strategy, claims, **options):
    known = read(strategy, options)
    fields = person.profile(claims, {}, known)
    return person.email(fields, claims, known)


@pytest.mark.parametrize(
    ("strategy", "claims", "verified"),
    [
        ("oidc", {}, False),
        ("oidc", {"email_verified": True}, True),
        ("okta", {"email_verified": "true"}, True),
        ("google-oauth2", {"email_verified": False}, False),
        ("oidc", {"email_verified": "yes"}, False),
        ("oidc", {"email_verified": 1.5}, False),
        ("waad", {"email_verified": True}, False),
        ("waad", {"xms_edov": "1"}, True),
        ("waad", {"xms_edov": True}, True),
        ("waad", {"xms_edov": "0"}, False),
        ("oidc", {"xms_edov": True}, False),
    ],
)
def test_an_address_is_verified_where_the_upstream_can_be_trusted_with_it(strategy, claims, verified):
    assert address(strategy, {**MARY, **claims}) == ("mary@fabrikamcorp.com", verified)


@pytest.mark.parametrize("strategy", ["waad", "adfs"])
def test_a_sign_in_name_that_looks_like_an_address_stands_in_unverified(strategy):
    assert address(strategy, {"upn": "mary@fabrikam.local", "email_verified": True}) == ("mary@fabrikam.local", False)
    assert address(strategy, {"upn": "FABRIKAM\\mary"}) == ("", False)


def test_elsewhere_nothing_stands_in_for_an_address():
    assert address("oidc", {"upn": "mary@fabrikam.local", "preferred_username": "mary@x.example"}) == ("", False)


def test_the_basic_profile_is_what_the_standard_names_and_groups():
    claims = {**MARY, "groups": ["a"], "roles": ["b"], "sid": "s", "nonce": "n", "tid": "t"}
    assert person.profile(claims, {"locale": "de"}, read("oidc", {})) == {
        "email": MARY["email"],
        "name": "Mary",
        "groups": ["a"],
        "locale": "de",
    }


def test_a_group_of_its_own_may_be_text():
    """ADFS and IdentityServer write a list of one so (dexidp/dex pull request 2639, goharbor/harbor issue 15416)."""
    assert person.profile({**MARY, "groups": "Everyone"}, {}, read("oidc", {}))["groups"] == ["Everyone"]
    mapping = {"mapping_mode": "use_map", "attributes": {"groups": "${context.tokenset.group}"}}
    found = person.profile({**MARY, "group": "Everyone"}, {}, read("adfs", {"attribute_map": mapping}))
    assert found == {"groups": ["Everyone"]}


def test_a_map_that_puts_another_address_in_the_place_of_email_does_not_make_it_verified():
    """What the upstream says is said of its own `email` claim."""
    claims = {**MARY, "email_verified": True, "private": "boss@fabrikamcorp.com", "private_verified": True}
    mapping = {"mapping_mode": "bind_all", "attributes": {"email": "${context.tokenset.private}"}}
    assert address("oidc", claims, attribute_map=mapping) == ("boss@fabrikamcorp.com", False)
    mapping["attributes"]["email_verified"] = "${context.tokenset.private_verified}"
    assert address("oidc", claims, attribute_map=mapping) == ("boss@fabrikamcorp.com", True)
    mapping["attributes"] = {"email": "${context.tokenset.email}"}
    assert address("oidc", claims, attribute_map=mapping) == (MARY["email"], True)


@pytest.mark.parametrize("groups", ["", " ", [1], {"a": 1}, ["x"] * 5000, None])
def test_groups_that_are_no_list_of_names_are_left_out(groups):
    assert "groups" not in person.profile({**MARY, "groups": groups}, {}, read("oidc", {}))


def test_bind_all_keeps_every_claim_but_those_of_the_token_itself():
    options = read(
        "oidc", {"attribute_map": {"mapping_mode": "bind_all", "attributes": {"nickname": "${context.tokenset.name}"}}}
    )
    found = person.profile({**MARY, "roles": ["b"], "nonce": "n", "exp": 1}, {}, options)
    assert found == {"email": MARY["email"], "name": "Mary", "roles": ["b"], "nickname": "Mary"}


def test_use_map_keeps_nothing_else():
    options = read(
        "oidc", {"attribute_map": {"mapping_mode": "use_map", "attributes": {"email": "${context.tokenset.mail}"}}}
    )
    found = person.profile({**MARY, "mail": "m@x.example"}, {}, options)
    assert found == {"email": "m@x.example"}


def test_entra_people_are_keyed_by_oid_and_in_several_directories_by_both_ids():
    claims = {"sub": "pairwise", "oid": "o-1", "tid": TENANT}
    assert person.subject(claims, read("waad", {"tenantId": TENANT})) == "o-1"
    assert person.subject(claims, read("waad", {"tenant_domain": "organizations"})) == f"{TENANT}:o-1"
    with pytest.raises(UpstreamFault, match="has no oid"):
        person.subject({"sub": "pairwise"}, read("waad", {"tenantId": TENANT}))


def test_userinfo_is_asked_only_where_the_id_token_says_too_little(provider, connection):
    sign_in(provider, connection)
    assert provider.hits["/userinfo"] == 0
    gives(provider, lambda: provider.id_token(email=ABSENT))
    provider.userinfo = {"sub": "mary", "email": "m@fabrikamcorp.com", "email_verified": True, "name": "Not this"}
    account = sign_in(provider, connection)
    assert provider.hits["/userinfo"] == 1
    assert (account.email, account.email_verified) == ("m@fabrikamcorp.com", True)
    assert account.profile["name"] == "Mary"


@pytest.mark.spec("OpenID Connect Core 1.0", "5.3.2", "The sub of UserInfo must be the one of the ID token")
@pytest.mark.parametrize("sub", ["eve", None, 7])
def test_userinfo_about_somebody_else_is_refused(provider, connection, sub):
    gives(provider, lambda: provider.id_token(email=ABSENT))
    provider.userinfo = {"sub": sub, "email": "eve@fabrikamcorp.com"}
    assert "speaks of somebody else" in refusal(provider, connection)


def test_userinfo_that_fails_signs_nobody_in_with_half_a_profile(provider, connection):
    gives(provider, lambda: provider.id_token(email=ABSENT))
    provider.statuses["/userinfo"] = 403
    assert "The UserInfo endpoint at" in refusal(provider, connection)


@pytest.mark.parametrize("kind", [None, "", "bearer", "BEARER"])
def test_a_token_whose_type_is_not_said_is_a_bearer_token(provider, connection, kind):
    gives(provider, lambda: provider.id_token(email=ABSENT), token_type=kind)
    provider.userinfo = {"sub": "mary", "email": "m@fabrikamcorp.com"}
    assert sign_in(provider, connection).email == "m@fabrikamcorp.com"


def test_without_a_bearer_token_userinfo_cannot_be_asked(provider, connection):
    gives(provider, lambda: provider.id_token(email=ABSENT), token_type="DPoP")
    assert "gave no Bearer token" in refusal(provider, connection)


@pytest.mark.django_db
def test_the_same_address_at_two_upstreams_is_two_people(provider):
    """Also when both say that it is verified."""
    people = []
    for name in ("Acme", "Other"):
        row = connect(provider)
        row.name = name
        row.sealed_options = {}
        row.save()
        people.append(identities.receive(row, sign_in(provider, row), at=now()).user)
    assert people[0].email == people[1].email
    assert people[0].pk != people[1].pk
    assert sorted(person.user_id for person in people) == ["oidc|Acme|mary", "oidc|Other|mary"]
    assert Identity.objects.count() == Connection.objects.filter(name__in=["Acme", "Other"]).count() == 2


@pytest.mark.parametrize(
    ("strategy", "claims", "denied"),
    [
        ("oidc", {}, False),
        ("oidc", {"email_verified": True}, False),
        ("oidc", {"email_verified": "true"}, False),
        ("oidc", {"email_verified": False}, True),
        ("adfs", {"email_verified": "false"}, True),
        ("okta", {"email_verified": "perhaps"}, True),
        ("waad", {"email_verified": False}, False),
        ("waad", {"xms_edov": False}, True),
        ("waad", {"xms_edov": "0"}, True),
        ("waad", {"xms_edov": 1}, False),
    ],
)
def test_an_upstream_that_says_no_of_an_address_is_not_overruled(strategy, claims, denied):
    """By `email_is_verified` of the connection. Entra's `email_verified` says nothing either way."""
    assert person.denies_email(claims, claims, read(strategy, {})) is denied
