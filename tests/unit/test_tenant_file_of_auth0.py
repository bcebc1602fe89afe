"""A tenant file as the Auth0 Deploy CLI exports it: what it means here, what is ignored, and what has to be decided first."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.utils import timezone

from idp.models import Application, Connection, ResourceServer
from idp.people import passkeys
from idp.tenants import apply as tenant
from idp.tenants import configuration
from idp.tenants.applied import Applied
from idp.tenants.reader import TenantFileError
from tests.support.factories import make_connection

pytestmark = pytest.mark.django_db
API = "https://api.example.com/"

# The keys are those that the Deploy CLI writes for a tenant in which nobody chose anything; the values are ours.
EXPORTED = """
pages: []
rules: []
hooks: []
actions: []
triggers: {}
emailTemplates: []
branding: {colors: {primary: "#0059d6"}, templates: []}
guardianPolicies: {policies: []}
attackProtection: {bruteForceProtection: {enabled: true}}
tenant:
  friendly_name: Fabrikam
  enabled_locales: [en]
  flags: {enable_sso: true, universal_login: true}
  session_cookie: {mode: non-persistent}
  sessions: {oidc_logout_prompt_enabled: false}
  sandbox_version: "22"
  idle_session_lifetime: 72
  session_lifetime: 168
clients:
  - name: Timesheet
    app_type: regular_web
    callbacks: [https://timesheet.example/callback]
    cross_origin_auth: false
    cross_origin_authentication: false
    custom_login_page_on: true
    grant_types: [authorization_code, implicit, refresh_token, client_credentials]
    is_first_party: true
    is_token_endpoint_ip_header_trusted: false
    jwt_configuration: {alg: RS256, lifetime_in_seconds: 36000, secret_encoded: false}
    native_social_login: {apple: {enabled: false}, facebook: {enabled: false}}
    oidc_conformant: true
    refresh_token:
      {expiration_type: non-expiring, leeway: 0, infinite_token_lifetime: true, infinite_idle_token_lifetime: true,
       token_lifetime: 2592000, idle_token_lifetime: 1296000, rotation_type: non-rotating}
    sso_disabled: false
    token_endpoint_auth_method: client_secret_post
    addons: {}
    mobile: {android: {}, ios: {}}
  - name: Intranet
    app_type: regular_web
    callbacks: [https://intranet.example/callback]
    oidc_conformant: true
databases:
  - name: Username-Password-Authentication
    strategy: auth0
    is_domain_connection: false
    realms: [Username-Password-Authentication]
    authentication: {active: true}
    connected_accounts: {active: false}
    enabled_clients: [Timesheet]
    options:
      mfa: {active: true, return_enroll_settings: true}
      passwordPolicy: good
      password_history: {enable: false, size: 5}
      strategy_version: 2
      brute_force_protection: true
      import_mode: false
connections: []
resourceServers:
  - name: API
    identifier: https://api.example.com/
    allow_offline_access: false
    enforce_policies: false
    scopes: [{value: "read:things", description: Read}]
    signing_alg: RS256
    skip_consent_for_verifiable_first_party_clients: true
    subject_type_authorization: {user: {policy: allow_all}, client: {policy: require_client_grant}}
    token_dialect: access_token
    token_lifetime: 86400
    token_lifetime_for_web: 7200
clientGrants:
  - {client_id: Timesheet, audience: https://api.example.com/, scope: ["read:things"], subject_type: client}
"""


def apply(folder: Path, document: str | dict[str, Any], *, prune: bool = False) -> list[Applied]:
    path = folder / "tenant.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return tenant.apply(path, at=timezone.now(), prune=prune)


def problems(folder: Path, document: str | dict[str, Any]) -> list[str]:
    with pytest.raises(TenantFileError) as caught:
        apply(folder, document)
    return caught.value.problems


def test_an_export_of_auth0_is_applied_as_it_is(tmp_path: Path) -> None:
    apply(tmp_path, EXPORTED)
    app = Application.objects.get(name="Timesheet")
    assert app.grant_types == ["authorization_code", "refresh_token", "client_credentials"]
    connection = Connection.objects.get()
    assert (connection.name, connection.strategy) == ("Username-Password-Authentication", "auth0")
    assert list(connection.enabled_clients.all()) == [app]
    assert ResourceServer.objects.get(is_system=False).token_dialect == "access_token"
    assert not configuration.load_tenant().oidc_logout_prompt_enabled


def test_what_means_nothing_here_is_named_once_and_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    path.write_text(EXPORTED, encoding="utf-8")
    out = StringIO()
    call_command("apply", str(path), stdout=out, stderr=StringIO())
    said = out.getvalue()
    for key in ("oidc_conformant", "sso_disabled", "cross_origin_authentication", "grant_types implicit", "realms"):
        assert said.count(key) == 1, said
    assert sum(line.startswith("ignored") for line in said.splitlines()) == len(
        {"", "tenant", "clients", "clients.jwt_configuration", "connections", "connections.options", "resourceServers"}
    ) + len({"clientGrants"})


SAML = {"signInEndpoint": "https://idp.example/sso", "signingCert": "x"}
PASSWORDS: list[
    tuple[str, str, Any, bool]
] = [  # policy, key, what it says, whether more is asked for than the policy does
    ("good", "password_complexity_options", {"min_length": 8}, False),
    ("good", "password_complexity_options", {"min_length": 12}, True),
    ("excellent", "password_complexity_options", {"min_length": 10}, False),
    ("low", "password_complexity_options", {"min_length": 8}, True),
    ("", "password_complexity_options", {"min_length": 8}, False),
    ("", "password_complexity_options", {"min_length": 9}, True),
    ("good", "password_dictionary", {"enable": True, "dictionary": []}, False),
    ("good", "password_dictionary", {"enable": True, "dictionary": ["fabrikam"]}, True),
    ("good", "password_dictionary", {"enable": False, "dictionary": ["fabrikam"]}, False),
    ("good", "password_no_personal_info", {"enable": True}, False),
    ("good", "password_options", {"complexity": {"min_length": 15}}, True),
    ("good", "password_options", {"complexity": {"min_length": 8, "character_types": ["number"]}}, True),
    ("good", "password_options", {"history": {"active": True, "size": 5}}, True),
    ("good", "password_options", {"dictionary": {"active": True, "custom": ["fabrikam"]}}, True),
    ("good", "password_options", {"complexity": {"min_length": 8}, "history": {"active": False}}, False),
    ("good", "authentication_methods", {"password": {"enabled": False}, "passkey": {"enabled": True}}, True),
]


@pytest.mark.parametrize(("policy", "key", "value", "is_demand"), PASSWORDS)
def test_a_database_that_asks_more_of_passwords_than_our_policy_is_no_weaker_for_it(
    tmp_path: Path, policy: str, key: str, value: Any, is_demand: bool
) -> None:
    options = {**({"passwordPolicy": policy} if policy else {}), key: value}
    document = {"databases": [{"name": "People", "options": options}]}
    if is_demand:
        (problem,) = problems(tmp_path, document)
        assert problem.startswith(f"databases[0].options.{key}: is not done here")
    else:
        outcomes = apply(tmp_path, document)
        assert any(key in outcome.name and outcome.what == "ignored" for outcome in outcomes)


@pytest.mark.parametrize("enabled", [True, False])
def test_auth0_s_switch_of_passkeys_is_ours(tmp_path: Path, enabled: bool) -> None:
    options = {
        "authentication_methods": {"password": {"enabled": True}, "passkey": {"enabled": enabled}},
        "passkey_options": {"challenge_ui": "button", "local_enrollment_enabled": True},
    }
    apply(tmp_path, {"databases": [{"name": "People", "options": options}]})
    row = Connection.objects.get(name="People")
    assert row.options["passkey_options"] == {**options["passkey_options"], "enabled": enabled}
    assert passkeys.are_enabled(row) is enabled


def test_where_a_sign_out_is_told_is_read_under_auth0_s_older_name_too(tmp_path: Path) -> None:
    older, newer = "https://a.example/older", "https://a.example/newer"
    app = {"name": "A", "app_type": "regular_web", "callbacks": ["https://a.example/cb"]}
    apply(tmp_path, {"clients": [{**app, "oidc_backchannel_logout": {"backchannel_logout_urls": [older]}}]})
    assert Application.objects.get().backchannel_logout_uri == older
    both = {"oidc_backchannel_logout": {"backchannel_logout_urls": [older]}}
    both |= {"oidc_logout": {"backchannel_logout_urls": [newer]}}
    apply(tmp_path, {"clients": [{**app, **both}]})
    assert Application.objects.get().backchannel_logout_uri == newer


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"actions": [{"name": "deny", "code": "x"}]}, "actions"),
        ({"rules": [{"name": "deny"}]}, "rules"),
        ({"guardianPolicies": {"policies": ["all-applications"]}}, "guardianPolicies"),
        ({"clients": [{"name": "A", "require_proof_of_possession": True}]}, "clients[0].require_proof_of_possession"),
        ({"clients": [{"name": "A", "organization_usage": "require"}]}, "clients[0].organization_usage"),
        (
            {"databases": [{"name": "a", "options": {"enabledDatabaseCustomization": True}}]},
            "databases[0].options.enabledDatabaseCustomization",
        ),
        (
            {"databases": [{"name": "a", "authentication": {"active": False}}]},
            "databases[0].authentication",
        ),
        (
            {"connections": [{"name": "a", "strategy": "samlp", "options": {**SAML, "non_persistent_attrs": ["ssn"]}}]},
            "connections[0].options.non_persistent_attrs",
        ),
        (
            {"resourceServers": [{"identifier": API, "subject_type_authorization": {"user": {"policy": "deny_all"}}}]},
            "resourceServers[0].subject_type_authorization",
        ),
    ],
)
def test_what_would_be_missing_is_refused_until_somebody_leaves_it_out(
    tmp_path: Path, document: dict[str, Any], place: str
) -> None:
    (problem,) = problems(tmp_path, document)
    assert problem.startswith(f"{place}: is not done here")


def test_an_application_that_nobody_can_come_back_to_is_refused_with_what_to_take_out(tmp_path: Path) -> None:
    """Every tenant of Auth0 begins with one, *Default App*."""
    (problem,) = problems(
        tmp_path, {"clients": [{"name": "Default App", "grant_types": ["authorization_code", "implicit"]}]}
    )
    assert problem.startswith("clients[0].callbacks: ")


@pytest.mark.parametrize(
    ("document", "nearest"),
    [
        ({"client": []}, "client: is not known here: is clients meant?"),
        ({"clients": [{"name": "A", "calbacks": []}]}, "clients[0].calbacks: is not known here: is callbacks meant?"),
        (
            {"clients": [{"name": "A", "oidc_conforment": True}]},
            "clients[0].oidc_conforment: is not known here: is oidc_",
        ),
        ({"databases": [{"name": "a", "options": {"password_policy": "good"}}]}, "is passwordPolicy meant?"),
        (
            {"clients": [{"name": "A", "refresh_token": {"leway": 3}}]},
            "clients[0].refresh_token.leway: is not known here: ",
        ),
    ],
)
def test_a_misspelt_key_gets_the_nearest_name(tmp_path: Path, document: dict[str, Any], nearest: str) -> None:
    (problem,) = problems(tmp_path, document)
    assert nearest in problem


def test_a_key_that_is_like_no_other_gets_no_advice(tmp_path: Path) -> None:
    assert problems(tmp_path, {"clients": [{"name": "A", "zzzzzz": 1}]}) == ["clients[0].zzzzzz: is not known here"]


def test_databases_are_connections_of_one_strategy(tmp_path: Path) -> None:
    apply(tmp_path, {"databases": [{"name": "People", "options": {}}]})
    assert Connection.objects.get().strategy == "auth0"
    (problem,) = problems(tmp_path, {"databases": [{"name": "x", "strategy": "samlp"}]})
    assert problem == "databases[0].strategy: must be one of auth0, not samlp"
    twins = {"databases": [{"name": "a"}], "connections": [{"name": "a", "strategy": "auth0"}]}
    assert problems(tmp_path, twins) == ["databases[0]: has the same name as connections[0]"]


def test_pruning_databases_leaves_other_connections(tmp_path: Path) -> None:
    make_connection("Old")
    make_connection("upstream", strategy="okta")
    apply(tmp_path, {"databases": [{"name": "People"}]}, prune=True)
    assert set(Connection.objects.values_list("name", flat=True)) == {"People", "upstream"}
    both = {"databases": [{"name": "People"}], "connections": []}
    apply(tmp_path, both, prune=True)
    assert set(Connection.objects.values_list("name", flat=True)) == {"People"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("clients: [{name: A, client_secret: ##A_SECRET##}]", "##A_SECRET##"),
        ("clients:\n  - name: A\n    callbacks: @@CALLBACKS@@", "@@CALLBACKS@@"),
        ('clients: [{name: "App of ##ENVIRONMENT##"}]', "##ENVIRONMENT##"),
        ("clients: [{name: A, client_secret: '@@SECRET@@'}]", "@@SECRET@@"),
    ],
)
def test_a_placeholder_of_the_deploy_cli_is_named_as_one(tmp_path: Path, line: str, name: str) -> None:
    (problem,) = problems(tmp_path, line)
    number = line.count("\n") + 1
    assert problem.startswith(f"line {number}: {name} is a placeholder, which the Auth0 Deploy CLI replaces")
    assert f"{{env: {name[2:-2]}}}" in problem


def test_a_remark_is_no_placeholder(tmp_path: Path) -> None:
    apply(tmp_path, "## SECTION ##\n##CLIENTS##\nclients: []  # as ##CLIENTS## said\n")


# --- what tokens an API gets ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "dialect"),
    [
        ({}, "access_token"),
        ({"token_dialect": "access_token"}, "access_token"),
        ({"token_dialect": "rfc9068_profile_authz"}, "rfc9068_profile_authz"),
        ({"token_dialect": "access_token", "opaque": False}, "access_token"),
        ({"opaque": False}, "access_token"),
        ({"opaque": True}, "opaque"),
        ({"token_dialect": "access_token", "opaque": True}, "opaque"),
        ({"token_dialect": "opaque"}, "opaque"),
    ],
)
def test_tokens_of_an_api_are_what_they_are_at_auth0_or_ours_where_the_file_says_so(
    tmp_path: Path, said: dict[str, Any], dialect: str
) -> None:
    for what in ("created", "unchanged"):
        (outcome,) = apply(tmp_path, {"resourceServers": [{"identifier": API, **said}]})
        assert outcome.what == what
        assert ResourceServer.objects.get(is_system=False).token_dialect == dialect


@pytest.mark.parametrize(
    "said", [{"token_dialect": "rfc9068_profile", "opaque": True}, {"token_dialect": "opaque", "opaque": False}]
)
def test_two_answers_about_tokens_are_refused(tmp_path: Path, said: dict[str, Any]) -> None:
    (problem,) = problems(tmp_path, {"resourceServers": [{"identifier": API, **said}]})
    assert problem.startswith("resourceServers[0].opaque: ")


def test_a_file_without_a_word_about_tokens_leaves_them_as_they_are(tmp_path: Path) -> None:
    ResourceServer.objects.create(identifier=API)
    (outcome,) = apply(tmp_path, {"resourceServers": [{"identifier": API}]})
    assert outcome.what == "unchanged"
    assert ResourceServer.objects.get(is_system=False).token_dialect == "opaque"


def test_tokens_that_outlive_their_session_from_now_on_are_told_once(tmp_path: Path) -> None:
    ResourceServer.objects.create(identifier=API)
    said = {"resourceServers": [{"identifier": API, "token_dialect": "access_token"}]}
    (first,), (second,) = apply(tmp_path, said), apply(tmp_path, said)
    assert "until it expires" in first.warnings[0]
    assert second.warnings == ()
