"""Groups, roles and mapped claims in tokens and answers."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from idp.applications import trail
from idp.applications.claims import RESERVED
from idp.directory import memberships, roles
from idp.models import Application, ClaimTrouble, ResourceServer, Role, Source, User
from sessions_app.models import Consent, SessionEvent
from tests.protocol.directory.test_groups import STRANGE
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import answer_of, authorize, credentials, decode, post_form, refresh, tokens_for, userinfo

pytestmark = pytest.mark.django_db
API = "https://api.example/"
ROLES = "https://ns.example/roles"


@pytest.fixture
def mary() -> User:
    user = make_user(user_metadata={"colour": "blue"}, app_metadata={"plan": "gold"})
    for name in ("grafana-admins", "staff"):
        memberships.add_person(memberships.group_of(None, name), user, actor="admin:a", at=timezone.now())
    return user


@pytest.fixture
def operators(mary) -> Role:
    role = Role.objects.create(
        name="operators", permissions=[{"resource_server_identifier": API, "permission_name": "read:things"}]
    )
    roles.give(role, mary, actor="admin:a", at=timezone.now())
    return role


def application(*mappings: dict, **fields) -> Application:
    return make_application("Grafana", claim_mappings=list(mappings), **fields)


def mapped(claim: str, expression: str, *places: str) -> dict:
    return {"claim": claim, "from": expression} | ({"in": list(places)} if places else {})


def id_token(user: User, app: Application, scope: str = "openid", **params) -> dict:
    return decode(tokens_for(make_session(user), app, scope=scope, **params)["id_token"])


def test_scopes_give_groups_and_roles_in_the_id_token_and_userinfo(mary, operators):
    app = application()
    tokens = tokens_for(make_session(mary), app, scope="openid groups roles")
    for told in (decode(tokens["id_token"]), userinfo(tokens["access_token"]).json()):
        assert (told["groups"], told["roles"]) == (["grafana-admins", "staff"], ["operators"])
    assert tokens["scope"] == "openid groups roles"


def test_who_does_not_ask_gets_none_and_pays_nothing(mary, operators):
    session, app = make_session(mary), application()
    tokens_for(session, app)
    with CaptureQueriesContext(connection) as queries:
        tokens = tokens_for(session, app)
    assert not {"groups", "roles"} & decode(tokens["id_token"]).keys()
    assert not [query for query in queries if "idp_membership" in query["sql"] or "idp_role" in query["sql"]]


def test_somebody_without_groups_has_an_empty_list():
    assert id_token(make_user(), application(), "openid groups")["groups"] == []


def test_a_role_comes_with_a_group_too(mary):
    Role.objects.create(name="viewers", groups=["staff"])
    Role.objects.create(name="others", groups=[{"connection": "Corp", "name": "staff"}])
    assert id_token(mary, application(), "openid roles")["roles"] == ["viewers"]


def test_the_claims_parameter_asks_by_name(mary, operators):
    app = application(mapped(ROLES, "roles", "userinfo"))
    claims = json.dumps({"id_token": {"groups": None, ROLES: None}, "userinfo": {"roles": None}})
    tokens = tokens_for(make_session(mary), app, scope="openid", claims=claims)
    token, info = decode(tokens["id_token"]), userinfo(tokens["access_token"]).json()
    assert (token["groups"], token[ROLES]) == (["grafana-admins", "staff"], ["operators"])
    assert (info["roles"], info[ROLES]) == (["operators"], ["operators"])


NAMES_OF_SCOPES = [
    ("groups", {"groups": None}, []),
    ("groups", {"groups": None}, [mapped("groups", "groups[?starts_with(@, 'grafana-')]", "access_token")]),
    ("email", {"email": None}, [mapped("email", "user.app_metadata.nothing", "access_token")]),
]


@pytest.mark.parametrize(("scope", "asked", "mappings"), NAMES_OF_SCOPES)
def test_an_application_of_strangers_gets_what_scopes_give_by_name_when_the_person_allowed_it(
    mary, scope, asked, mappings
):
    app = application(*mappings, is_first_party=False)
    consent = Consent.objects.create(user=mary, application=app, scopes=["openid"])
    request = {"scope": "openid", "claims": json.dumps({"id_token": asked})}
    silent = authorize(browser(make_session(mary)), app, prompt="none", **request)
    assert answer_of(silent)["error"] == "consent_required"
    consent.scopes = ["openid", scope]
    consent.save()
    assert scope in id_token(mary, app, **request)


def test_a_claim_of_a_mapping_s_own_name_was_given_by_an_administrator(mary, operators):
    app = application(mapped(ROLES, "roles", "access_token"), is_first_party=False)
    Consent.objects.create(user=mary, application=app, scopes=["openid"])
    assert id_token(mary, app, claims=json.dumps({"id_token": {ROLES: None}}))[ROLES] == ["operators"]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("groups[?starts_with(@, 'grafana-')]", ["grafana-admins"]),
        ("roles", ["operators"]),
        ("user.app_metadata.plan", "gold"),
        ("user.user_metadata.colour", "blue"),
        ("user.email", "mary@fabrikamcorp.com"),
        ("identity.connection", "FabrikamAD"),
        ("identity.groups", []),
        ("client.client_id", "grafana"),
        ("client.assigned_groups", ["staff"]),
        ("contains(groups, 'grafana-admins') && 'Admin' || 'Viewer'", "Admin"),
        ("session.methods", ["pwd"]),
        ("{a: groups[0], b: user.user_metadata}", {"a": "grafana-admins", "b": {"colour": "blue"}}),
    ],
)
def test_a_mapping_says_what_its_expression_gives(mary, operators, expression, found):
    app = application(mapped(ROLES, expression), access_groups=["staff"])
    tokens = tokens_for(make_session(mary), app, scope="openid")
    assert decode(tokens["id_token"])[ROLES] == found
    assert userinfo(tokens["access_token"]).json()[ROLES] == found


def test_a_mapping_is_told_where_it_says(mary):
    app = application(
        mapped("a", "'x'", "id_token"), mapped("b", "'x'", "userinfo"), mapped("c", "'x'", "access_token")
    )
    ResourceServer.objects.create(identifier=API, token_dialect="rfc9068_profile")
    tokens = tokens_for(make_session(mary), app, scope="openid", audience=API)
    token, access = decode(tokens["id_token"]), decode(tokens["access_token"])
    info = userinfo(tokens["access_token"]).json()
    assert [{"a", "b", "c"} & told.keys() for told in (token, info, access)] == [{"a"}, {"b"}, {"c"}]


def test_an_opaque_access_token_says_it_when_it_is_introspected(mary):
    app = application(mapped("plan", "user.app_metadata.plan", "access_token"))
    tokens = tokens_for(make_session(mary), app, scope="openid")
    told = post_form("/oauth/introspect", {**credentials(app), "token": tokens["access_token"]}).json()
    assert (told["active"], told["plan"]) == (True, "gold")


def test_a_mapping_of_groups_filters_what_the_scope_gives(mary):
    app = application(mapped("groups", "groups[?starts_with(@, 'grafana-')]", "userinfo"))
    assert id_token(mary, app, "openid groups")["groups"] == ["grafana-admins"]
    assert "groups" not in id_token(mary, app, "openid")


def test_what_is_nothing_is_left_out_without_a_word(mary):
    assert ROLES not in id_token(mary, application(mapped(ROLES, "user.nothing")))
    assert not ClaimTrouble.objects.exists()


def test_claims_are_computed_anew_at_each_refresh(mary):
    app = application(mapped(ROLES, "user.app_metadata.plan"))
    tokens = tokens_for(make_session(mary), app, scope="openid groups")
    memberships.remove_person(memberships.group_of(None, "staff"), mary, actor="admin:a", at=timezone.now())
    User.objects.filter(pk=mary.pk).update(app_metadata={"plan": "silver"})
    again = decode(refresh(app, tokens["refresh_token"]).json()["id_token"])
    assert (again["groups"], again[ROLES]) == (["grafana-admins"], "silver")


def test_an_offline_refresh_without_its_session_still_has_groups(mary):
    app = application(mapped("since", "session.auth_time"), mapped("by", "identity.connection"))
    session = make_session(mary)
    tokens = tokens_for(session, app, scope="openid offline_access groups")
    session.delete()
    again = decode(refresh(app, tokens["refresh_token"]).json()["id_token"])
    assert again["groups"] == ["grafana-admins", "staff"]
    assert again["since"] == again["auth_time"]
    assert "by" not in again


@pytest.mark.parametrize("claim", sorted(RESERVED))
def test_a_reserved_claim_that_is_stored_all_the_same_says_nothing(mary, claim):
    """A program that saves rows asks no rulebook."""
    before = id_token(mary, application(client_id="plain"))
    told = id_token(mary, application(mapped(claim, "'mallory'"), mapped("ok", "'x'")))
    assert told["ok"] == "x"
    assert told.get(claim) != "mallory"
    assert set(told) - {"ok"} == set(before)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("join(',', user)", "cannot be evaluated"),
        ("groups" + " | [@, @, @, @, @, @, @, @][]" * 15, "gives more than|takes too long"),
        ("&groups", "JSON"),
        ("nobody_knows(@)", "cannot be evaluated"),
    ],
)
def test_a_mapping_that_fails_leaves_its_claim_out_and_is_told_once(mary, expression, reason):
    app = application(mapped("bad", expression), mapped("good", "'x'"))
    for _ in range(3):
        told = id_token(mary, app)
        assert "bad" not in told
        assert told["good"] == "x"
    trouble = ClaimTrouble.objects.get()
    assert trouble.claim == "bad"
    assert re.search(reason, trouble.reason)
    line = SessionEvent.objects.get(type="claim_left_out")
    assert (line.client_id, line.data["claim"]) == ("grafana", "bad")


def test_a_mapping_that_was_changed_and_fails_again_is_news(mary):
    app = application(mapped("bad", "&groups"))
    id_token(mary, app)
    before = Application.objects.get(pk=app.pk)
    app.claim_mappings = [mapped("bad", "&roles")]
    app.save()
    trail.changed(before, app, actor="admin:a", at=timezone.now())
    assert not ClaimTrouble.objects.exists()
    id_token(mary, app)
    assert SessionEvent.objects.filter(type="claim_left_out").count() == 2


def test_two_thousand_groups_fit_and_a_hundred_thousand_characters_are_the_limit():
    identity = make_user(connection=make_connection("Acme", "oidc")).identities.get()
    memberships.replace_memberships(identity, [f"group-{n}" for n in range(2000)], Source.UPSTREAM, at=timezone.now())
    app = application(mapped("more", "groups"), mapped("long", "join(',', groups)"), mapped("last", "groups[:2000]"))
    told = id_token(identity.user, app, "openid groups")
    assert len(told["groups"]) == len(told["more"]) == 2000
    assert "last" not in told
    assert ClaimTrouble.objects.get().claim == "last"


def test_names_of_groups_reach_the_application_with_every_character():
    identity = make_user(connection=make_connection("Acme", "oidc")).identities.get()
    memberships.replace_memberships(identity, STRANGE, Source.UPSTREAM, at=timezone.now())
    app = application(mapped("mapped", "groups"), mapped("one", "groups[?contains(@, '\"')] | [0]"))
    tokens = tokens_for(make_session(identity.user), app, scope="openid groups")
    for told in (decode(tokens["id_token"]), userinfo(tokens["access_token"]).json()):
        assert sorted(told["groups"]) == sorted(STRANGE)
    told = decode(tokens["id_token"])
    assert (sorted(told["mapped"]), told["one"]) == (sorted(STRANGE), "a'b\"c")


def test_not_before_is_a_moment_of_the_past(mary):
    app = application(mapped("nbf", "session.issued_at"), mapped("upn", "user.email"), mapped("oid", "user.user_id"))
    told = id_token(mary, app)
    assert (told["nbf"], told["upn"], told["oid"]) == (told["iat"], mary.email, mary.user_id)
    later = application(mapped("nbf", "`99999999999`"), client_id="later")
    assert "nbf" not in id_token(mary, later)


def test_preferred_username_of_a_directory_is_told(mary):
    mary.claims = {"preferred_username": "mary"}
    mary.save()
    assert id_token(mary, application(), "openid profile")["preferred_username"] == "mary"


def test_discovery_names_what_may_be_asked(mary):
    application(mapped(ROLES, "roles"), mapped("iss", "'x'"))
    document = Client().get("/.well-known/openid-configuration").json()
    assert {"groups", "roles"} <= set(document["scopes_supported"])
    assert {"groups", "roles", ROLES} <= set(document["claims_supported"])
    assert len(set(document["claims_supported"])) == len(document["claims_supported"])


# --- permissions -------------------------------------------------------------------------------------------------------
@pytest.fixture
def api() -> ResourceServer:
    return ResourceServer.objects.create(
        identifier=API,
        scopes=[{"value": "read:things"}, {"value": "write:things"}, {"value": "groups"}],
        enforce_policies=True,
        token_dialect="rfc9068_profile_authz",
    )


ALL = "openid read:things write:things groups"


def test_granted_is_what_was_asked_for_and_what_roles_allow(mary, operators, api):
    tokens = tokens_for(make_session(mary), application(), scope=ALL, audience=API)
    access = decode(tokens["access_token"])
    assert (access["scope"], access["permissions"]) == ("openid read:things", ["read:things"])
    assert tokens["scope"] == "openid read:things"


def test_permissions_are_told_whatever_was_asked(mary, operators, api):
    tokens = tokens_for(make_session(mary), application(), scope="openid", audience=API)
    assert decode(tokens["access_token"])["permissions"] == ["read:things"]


def test_a_role_that_is_taken_away_is_gone_at_the_next_refresh(mary, operators, api):
    app = application()
    tokens = tokens_for(make_session(mary), app, scope=ALL, audience=API)
    roles.take(operators, mary, actor="admin:a", at=timezone.now())
    answer = refresh(app, tokens["refresh_token"], scope=ALL).json()
    access = decode(answer["access_token"])
    assert (access["scope"], access["permissions"]) == ("openid", [])


def test_a_scope_that_the_api_has_no_more_is_nobodys_permission(mary, operators, api):
    api.scopes = [{"value": "write:things"}]
    api.save()
    access = decode(tokens_for(make_session(mary), application(), scope=ALL, audience=API)["access_token"])
    assert "read:things" not in access["scope"]
    assert access["permissions"] == []


def test_without_policies_scopes_are_the_applications_matter(mary, operators, api):
    api.enforce_policies = False
    api.save()
    access = decode(tokens_for(make_session(mary), application(), scope=ALL, audience=API)["access_token"])
    assert access["scope"] == ALL
    assert "permissions" not in access


def test_an_opaque_token_with_permissions_says_them_when_it_is_introspected(mary, operators, api):
    api.token_dialect = "opaque"
    api.save()
    app = application()
    tokens = tokens_for(make_session(mary), app, scope=ALL, audience=API)
    assert tokens["access_token"].count(".") == 0
    told = post_form("/oauth/introspect", {**credentials(app), "token": tokens["access_token"]}).json()
    assert (told["scope"], told["permissions"]) == ("openid read:things", ["read:things"])


def test_a_machine_has_the_permissions_of_its_grant(api):
    from idp.models import ClientGrant

    app = application(grant_types=["client_credentials"])
    ClientGrant.objects.create(application=app, resource_server=api, scope=["write:things"])
    answer = post_form("/oauth/token", {**credentials(app), "grant_type": "client_credentials", "audience": API}).json()
    assert decode(answer["access_token"])["permissions"] == ["write:things"]
    api.token_dialect = "opaque"
    api.save()
    answer = post_form("/oauth/token", {**credentials(app), "grant_type": "client_credentials", "audience": API}).json()
    told = post_form("/oauth/introspect", {**credentials(app), "token": answer["access_token"]}).json()
    assert told["permissions"] == ["write:things"]


def test_an_authorization_from_before_there_were_groups_is_still_refreshed(mary):
    """Client libraries repeat the list of their first request, of which `groups` was left out then."""
    app = application()
    tokens = tokens_for(make_session(mary), app, scope="openid")
    assert refresh(app, tokens["refresh_token"], scope="openid groups").status_code == 200
