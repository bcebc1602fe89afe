"""`manage.py apply`: a tenant file of the Auth0 Deploy CLI's shape."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.utils import timezone

from idp.connections.oidc.options import read
from idp.connections.options import secret_context
from idp.crypto import sealing
from idp.models import Application, ClientGrant, Connection, Identity, ResourceServer, User
from idp.people.hashers import ClientSecretHasher
from idp.tenants import apply as tenant
from idp.tenants import configuration
from idp.tenants.reader import TenantFileError
from sessions_app.models import SessionEvent
from tests.support.factories import make_connection, make_session, make_user

pytestmark = pytest.mark.django_db

WHOLE = """
tenant: {friendly_name: Fabrikam, allowed_logout_urls: ["http://localhost:8004/"], session_lifetime: 168, idle_session_lifetime: 72}
clients:
  - client_id: bOFty3tWgpijnwMcltysNFqHgO1ziz1I
    client_secret: {env: SHAREPOINT_SECRET}
    name: SharePoint Intranet
    app_type: regular_web
    token_endpoint_auth_method: client_secret_post
    grant_types: [authorization_code, refresh_token]
    callbacks: [http://localhost:8002/callback]
    allowed_logout_urls: [http://localhost:8002/]
    web_origins: [http://localhost:8002]
    allowed_origins: []
    oidc_logout:
      backchannel_logout_urls: [http://localhost:8002/backchannel-logout]
      backchannel_logout_initiators: {mode: custom, selected_initiators: [rp-logout, idp-logout]}
      backchannel_logout_token_typ: logout+jwt
      backchannel_logout_include_sub: true
      frontchannel_logout_uri: http://localhost:8002/logout
      frontchannel_logout_session_required: true
    refresh_token: {rotation_type: rotating, expiration_type: expiring, leeway: 30, token_lifetime: 2592000, idle_token_lifetime: 1296000}
  - {name: My Backend, client_id: backend, client_secret: {file: backend.secret}, app_type: non_interactive}
connections:
  - {name: FabrikamAD, strategy: auth0, options: {}, enabled_clients: [SharePoint Intranet]}
  - {name: acme, strategy: okta, options: {domain: acme.okta.com, client_id: 0oa1, client_secret: upstream-secret}}
resourceServers:
  - {identifier: "https://api.example.com/", name: API, scopes: [{value: "read:things"}], token_lifetime: 3600, token_dialect: access_token}
clientGrants:
  - {client_id: My Backend, audience: "https://api.example.com/", scope: ["read:things"]}
users:
  - {connection: FabrikamAD, email: Mary@fabrikamcorp.com, password: {env: MARY_PASSWORD}, email_verified: true}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setenv("SHAREPOINT_SECRET", "sharepoint-secret")
    monkeypatch.setenv("MARY_PASSWORD", "correct horse battery staple")
    (tmp_path / "backend.secret").write_text("backend-secret\n")
    return tmp_path


def apply(folder: Path, text: str, *, prune: bool = False) -> dict[str, str]:
    """What became of each object, by its name."""
    path = folder / "tenant.yaml"
    path.write_text(dedent(text))
    return {outcome.name: outcome.what for outcome in tenant.apply(path, at=timezone.now(), prune=prune)}


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(TenantFileError) as caught:
        apply(folder, text)
    return caught.value.problems


def client_problems(folder: Path, **fields: Any) -> list[str]:
    entry = {"name": "App", "callbacks": ["https://app.example/cb"], **fields}
    return problems(folder, yaml.safe_dump({"clients": [entry]}))


def test_a_whole_file_becomes_rows(folder: Path) -> None:
    assert set(apply(folder, WHOLE).values()) == {"created", "updated"}
    app = Application.objects.get(client_id="bOFty3tWgpijnwMcltysNFqHgO1ziz1I")
    assert app.callbacks == ["http://localhost:8002/callback"]
    assert app.allowed_logout_urls == ["http://localhost:8002/"]
    assert app.backchannel_logout_uri == "http://localhost:8002/backchannel-logout"
    assert app.frontchannel_logout_session_required
    assert app.refresh_token_lifetime == 2592000
    assert ClientSecretHasher().verify("sharepoint-secret", app.client_secret)
    backend = Application.objects.get(client_id="backend")
    assert backend.grant_types == ["client_credentials"]
    assert ClientSecretHasher().verify("backend-secret", backend.client_secret)
    settings = configuration.load_tenant()
    assert (settings.friendly_name, settings.session_lifetime_in_minutes) == ("Fabrikam", 168 * 60)
    connection = Connection.objects.get(name="FabrikamAD")
    assert list(connection.enabled_clients.all()) == [app]
    assert not connection.enabled_for_all
    assert ResourceServer.objects.get(is_system=False).scope_values == {"read:things"}
    assert ClientGrant.objects.get().scope == ["read:things"]
    identity = Identity.objects.get()
    assert identity.login == "mary@fabrikamcorp.com"
    assert identity.user.check_password("correct horse battery staple")
    assert identity.user.user_id == f"auth0|{identity.sub}"


def test_secret_options_are_sealed_to_their_connection(folder: Path) -> None:
    apply(folder, WHOLE)
    row = Connection.objects.get(name="acme")
    assert row.options == {"domain": "acme.okta.com", "client_id": "0oa1"}
    assert "upstream-secret" not in str(row.sealed_options)
    envelope = row.sealed_options["client_secret"]
    assert sealing.unseal(envelope, secret_context("acme", "client_secret")) == "upstream-secret"


def test_the_second_time_nothing_changes(folder: Path) -> None:
    apply(folder, WHOLE)
    before = configuration.load_tenant().config_version
    assert set(apply(folder, WHOLE).values()) == {"unchanged"}
    assert configuration.load_tenant().config_version == before


def test_only_what_differs_is_updated(folder: Path) -> None:
    apply(folder, WHOLE)
    changed = apply(folder, WHOLE.replace("name: API,", "name: Things,").replace("upstream-secret", "another"))
    assert {name for name, what in changed.items() if what == "updated"} == {"https://api.example.com/", "acme"}


def test_keys_that_the_file_leaves_out_keep_their_values(folder: Path) -> None:
    apply(folder, WHOLE)
    apply(folder, "clients: [{client_id: bOFty3tWgpijnwMcltysNFqHgO1ziz1I, name: Renamed}]")
    app = Application.objects.get(client_id="bOFty3tWgpijnwMcltysNFqHgO1ziz1I")
    assert app.name == "Renamed"
    assert app.callbacks == ["http://localhost:8002/callback"]


def test_a_client_without_id_and_secret_gets_both_and_they_are_told_once(folder: Path) -> None:
    path = folder / "tenant.yaml"
    path.write_text("clients: [{name: New App, callbacks: ['https://app.example/cb']}]")
    (first,) = tenant.apply(path, at=timezone.now())
    app = Application.objects.get(name="New App")
    secret = first.note.rpartition(" ")[2]
    assert app.client_id in first.note
    assert ClientSecretHasher().verify(secret, app.client_secret)
    (second,) = tenant.apply(path, at=timezone.now())
    assert (second.what, second.note) == ("unchanged", "")


def test_single_page_applications_are_public(folder: Path) -> None:
    apply(folder, "clients: [{name: SPA, app_type: spa, callbacks: ['https://app.example/']}]")
    assert Application.objects.get().is_public


def test_a_changed_password_ends_the_persons_sessions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(folder, WHOLE)
    session = make_session(User.objects.get())
    monkeypatch.setenv("MARY_PASSWORD", "another long passphrase")
    assert apply(folder, WHOLE)["Mary@fabrikamcorp.com"] == "updated"
    session.refresh_from_db()
    assert session.ended_at is not None


STRICT = """
connections: [{name: Strict, strategy: auth0, options: {passwordPolicy: excellent}}]
users: [{connection: Strict, email: mary@fabrikamcorp.com, password: {env: MARY_PASSWORD}}]
"""


def test_a_password_that_the_policy_refuses_is_a_problem_with_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy that counts is that of the same file; without one it is that of the house."""
    monkeypatch.setenv("MARY_PASSWORD", "all lower case letters")
    found = problems(folder, STRICT)
    assert found
    assert all(problem.startswith("users[0].password: ") for problem in found)
    assert "all lower case" not in " ".join(found)
    monkeypatch.setenv("MARY_PASSWORD", "password")
    (common,) = problems(folder, STRICT.replace("passwordPolicy: excellent", ""))
    assert "too common" in common
    monkeypatch.setenv("MARY_PASSWORD", "Mary@fabrikamcorp.com")
    assert any("similar" in problem for problem in problems(folder, STRICT))
    monkeypatch.setenv("MARY_PASSWORD", "Correct-Horse-7-Battery")
    assert apply(folder, STRICT)["mary@fabrikamcorp.com"] == "created"


def test_a_password_that_somebody_has_stays_good_when_the_policy_grows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARY_PASSWORD", "all lower case letters")
    apply(folder, STRICT.replace("passwordPolicy: excellent", ""))
    assert apply(folder, STRICT)["mary@fabrikamcorp.com"] == "unchanged"
    monkeypatch.setenv("MARY_PASSWORD", "another of lower case")
    assert problems(folder, STRICT)
    assert User.objects.get().check_password("all lower case letters")


def test_nothing_is_written_when_anything_is_wrong(folder: Path) -> None:
    wrong = WHOLE.replace("audience:", "audience: 'https://nowhere.example/' #")
    assert problems(folder, wrong.replace('"https://api.example.com/", scope: ["read:things"]}', "\n    scope: []}"))
    assert not Application.objects.exists()
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clients: [{name: A, colour: red}]", "clients[0].colour: is not known here"),
        ("client: []", "client: is not known here"),
        ("clients: {}", "clients: must be a list, not a mapping"),
        ("clients: [1]", "clients[0]: a mapping is needed, not a number"),
        ("clients: [{}]", "clients[0].name: is missing"),
        ("clients: [{name: 7}]", "clients[0].name: must be text, not a number"),
        ("clients: [{name: A, app_type: tv}]", "clients[0].app_type: must be one of spa, native, "),
        ("clients: [{name: A, callbacks: x}]", "clients[0].callbacks: must be a list, not text"),
        ("clients: [{name: A}, {name: A}]", "clients[1]: has the same name as clients[0]"),
        ("clients: [{name: A, name: B}]", "name comes twice"),
        ("clients: [{name: A, grant_types: [password]}]", "clients[0].grant_types[0]: must be one of"),
        ("clients: [{name: A, client_secret: {env: NOT_THERE}}]", "clients[0].client_secret: the environment has no"),
        ("clients: [{name: A, client_secret: {file: nowhere}}]", "clients[0].client_secret: nowhere cannot be read"),
        ("clients: [{name: A, client_secret: {vault: x}}]", "clients[0].client_secret: a secret is text, {env"),
        ("clients: [{name: A, app_type: spa, client_secret: x}]", "clients[0].client_secret: a public client"),
        ("clients: [{name: A, token_endpoint_auth_method: private_key_jwt}]", "needs jwks or jwks_uri"),
        ('clients: [{name: "A\\0"}]', "clients[0].name: holds a character that cannot be stored"),
        ("connections: [{name: a b, strategy: auth0}]", "connections[0].name: only letters"),
        ("connections: [{name: a}]", "connections[0].strategy: is missing"),
        ("connections: [{name: a, strategy: ad, options: {domain: x}}]", "connections[0].options.domain: is not known"),
        ("connections: [{name: a, strategy: oidc, options: {issuer: 'http://up.example'}}]", "options.issuer: http is"),
        ("connections: [{name: a, strategy: okta}]", "connections[0].options.client_id: is missing"),
        ("connections: [{name: a, strategy: okta, options: {}}]", "connections[0].options.client_id: is missing"),
        (
            "connections: [{name: a, strategy: ad, options: {base_dn: x=}}]",
            "connections[0].options.servers: is missing",
        ),
        (
            "connections: [{name: a, strategy: ad, options: {start_tls: 'on'}}]",
            "options.start_tls: must be true or false",
        ),
        ("connections: [{name: a, strategy: ad, options: {servers: ldaps://x}}]", "options.servers: must be a list"),
        (
            "connections: [{name: a, strategy: auth0, options: {passwordPolicy: hard}}]",
            "passwordPolicy: must be one of",
        ),
        (
            "connections: [{name: a, strategy: auth0, options: {domain_aliases: [a b]}}]",
            "domain_aliases: a b is no domain",
        ),
        (
            "connections: [{name: a, strategy: auth0, options: {logout: {hint: sid}}}]",
            "options.logout.hint: must be one of",
        ),
        (
            "connections: [{name: a, strategy: auth0, options: {logout: {urls: x}}}]",
            "options.logout: must be an object",
        ),
        ("connections: [{name: a, strategy: auth0, options: {logout: {url: 'ftp://x'}}}]", "options.logout.url: "),
        ("connections: [{name: a, strategy: adfs, options: {protocol: cas}}]", "options.protocol: must be one of oidc"),
        (
            "connections: [{name: a, strategy: samlp, options: {signInEndpoint: https://x.example/}}]",
            "options.signingCert: ",
        ),
        (
            "connections: [{name: a, strategy: oidc, options: {client_secret: {file: nowhere}}}]",
            "client_secret: nowhere cannot be",
        ),
        ("connections: [{name: a, strategy: auth0, enabled_clients: [B]}]", "enabled_clients[0]: there is no client B"),
        ("clientGrants: [{client_id: B, audience: x}]", "clientGrants[0].audience: there is no resource server x"),
        ("users: [{connection: x, email: m@x.org, password: p}]", "users[0].connection: there is no connection x"),
        ("users: [{connection: x, email: mary, password: p}]", "users[0].email: is not an e-mail address"),
        ("tenant: {session_lifetime: 1, session_lifetime_in_minutes: 60}", "tenant.session_lifetime: give this or"),
        ("tenant: {accent_color: red}", "tenant.accent_color: must be a colour"),
        ("tenant: {oidc_logout_prompt_enabled: 'yes'}", "tenant.oidc_logout_prompt_enabled: must be true or false"),
        ("- a", "the file must be a mapping"),
        ("a: [", "not readable as YAML"),
        ("!!python/object/apply:os.system ['true']", "not readable as YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place(folder: Path, text: str, expected: str) -> None:
    assert any(expected in problem for problem in problems(folder, text)), problems(folder, text)


@pytest.mark.parametrize(
    "callback", ["https://a.example/#x", "https://*.a.example/", "http://a.example/", "/cb", "javascript:1"]
)
def test_callbacks_are_checked_at_save(folder: Path, callback: str) -> None:
    (problem,) = client_problems(folder, callbacks=[callback])
    assert problem.startswith("clients[0].callbacks[0]: ")


@pytest.mark.parametrize("value", ["*", "null", "https://*.example.com", "https://app.example.com/path"])
def test_web_origins_are_exact(folder: Path, value: str) -> None:
    (problem,) = client_problems(folder, web_origins=[value])
    assert problem.startswith("clients[0].web_origins[0]: ")


@pytest.mark.parametrize("url", ["https://app.example.com/out?state=1", "https://app.example.com/out?iss="])
def test_logout_urls_leave_our_parameters_to_us(folder: Path, url: str) -> None:
    (problem,) = client_problems(folder, allowed_logout_urls=[url])
    assert problem.startswith("clients[0].allowed_logout_urls[0]: the query must not hold")


@pytest.mark.parametrize(
    "url", ["gopher://rp.example/", "file:///etc/passwd", "https://rp.example:22/", "https://rp.example:6379/"]
)
def test_back_channel_urls_go_to_http_servers(folder: Path, url: str) -> None:
    (problem,) = client_problems(folder, oidc_logout={"backchannel_logout_urls": [url]})
    assert problem.startswith("clients[0].oidc_logout.backchannel_logout_urls[0]: ")


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/logout",
        "http://localhost:8000/logout",
        "https://app.example/logout?sid=1",
        "https://app.example/logout#x",
        "https://app.example/x; script-src *",
    ],
)
def test_front_channel_urls_belong_to_a_callback(folder: Path, url: str) -> None:
    (problem,) = client_problems(folder, oidc_logout={"frontchannel_logout_uri": url})
    assert problem.startswith("clients[0].oidc_logout.frontchannel_logout_uri: ")


def test_people_of_an_upstream_connection_are_not_made_here(folder: Path) -> None:
    make_connection("up", strategy="oidc")
    (problem,) = problems(folder, "users: [{connection: up, email: m@x.org, password: p}]")
    assert "come from there" in problem


def test_a_strategy_cannot_change(folder: Path) -> None:
    make_connection("FabrikamAD")
    (problem,) = problems(folder, "connections: [{name: FabrikamAD, strategy: oidc}]")
    assert problem.startswith("connections[0].strategy: ")


ACME = "connections: [{name: acme, strategy: okta, options: {domain: %s, client_id: 0oa1%s}}]"


def trail() -> list[tuple[str, str, list[dict[str, str]]]]:
    events = SessionEvent.objects.filter(type="connection_changed").order_by("pk")
    return [(event.connection, event.actor, event.data["changes"]) for event in events]


def test_a_kept_secret_is_not_sent_to_a_new_place_by_a_file_that_does_not_bring_it(folder: Path) -> None:
    apply(folder, ACME % ("acme.okta.com", ", client_secret: hush-hush"))
    assert problems(folder, ACME % ("evil.okta.com", "")) == [
        "connections[0].options.client_secret: Give it again, as domain changed: a secret that is kept here is never sent to a "
        "new place."
    ]
    assert apply(folder, ACME % ("acme.okta.com", "")) == {"acme": "unchanged"}
    assert apply(folder, ACME % ("new.okta.com", ", client_secret: hush-hush")) == {"acme": "updated"}


def test_the_trail_says_what_a_file_changed_of_a_connection_from_what_to_what(folder: Path) -> None:
    apply(folder, ACME % ("acme.okta.com", ", client_secret: hush-hush"))
    apply(folder, ACME % ("new.okta.com", ", client_secret: another"))
    apply(folder, ACME % ("new.okta.com", ", client_secret: another"))
    apply(folder, "connections: [{name: acme, strategy: okta, enabled: false}]")
    apply(folder, "connections: [{name: acme, strategy: okta, enabled: true}]")
    apply(folder, "connections: []", prune=True)
    nothing = "nothing"
    made, changed, *rest = trail()
    assert made == (
        "acme",
        "system",
        [
            {"what": "connection", "from": nothing, "to": "one of the strategy okta"},
            {"what": "client_id", "from": nothing, "to": "0oa1"},
            {"what": "domain", "from": nothing, "to": "acme.okta.com"},
            {"what": "client_secret", "from": nothing, "to": "a secret"},
        ],
    )
    assert changed[2] == [
        {"what": "domain", "from": "acme.okta.com", "to": "new.okta.com"},
        {"what": "client_secret", "from": "a secret", "to": "another secret"},
    ]
    assert [lines for _, _, lines in rest] == [
        [{"what": "enabled", "from": "on", "to": "off"}],
        [{"what": "enabled", "from": "off", "to": "on"}],
        [{"what": "enabled", "from": "on", "to": "off"}],
        [{"what": "connection", "from": "one of the strategy okta", "to": nothing}],
    ]


def test_prune_removes_what_the_sections_do_not_name(folder: Path) -> None:
    apply(folder, WHOLE)
    kept = "clients: [{client_id: backend, name: My Backend}]\nclientGrants: []\nusers: []\nresourceServers: []\n"
    outcomes = apply(folder, kept, prune=True)
    assert [what for what in outcomes.values() if what == "removed"] == ["removed"] * 4
    assert list(Application.objects.values_list("client_id", flat=True)) == ["backend"]
    assert not User.objects.exists()
    assert not ResourceServer.objects.filter(is_system=False).exists()
    assert Connection.objects.count() == 2, "a section that the file does not have is not looked at"
    assert set(apply(folder, kept, prune=True).values()) == {"unchanged"}


def test_prune_closes_a_connection_that_people_hang_on(folder: Path) -> None:
    session = make_session(make_user())
    assert apply(folder, "connections: []", prune=True) == {"FabrikamAD": "closed"}
    assert not Connection.objects.get().enabled
    session.refresh_from_db()
    assert session.ended_at is not None


@pytest.mark.parametrize("who", ["may open the admin", "signed up", "signed up where nobody gets in now"])
def test_prune_leaves_people_whom_no_file_made(folder: Path, who: str) -> None:
    user = make_user(is_staff=who == "may open the admin")
    options = {"disable_signup": "signed up" not in who}
    Connection.objects.update(strategy="auth0", options=options, enabled="nobody" not in who)
    assert apply(folder, "users: []", prune=True) == {user.email: "unchanged"}
    assert User.objects.filter(pk=user.pk).exists()
    User.objects.update(is_staff=False)
    Connection.objects.update(options={})
    assert apply(folder, "users: []", prune=True) == {user.email: "removed"}


def test_the_command_says_what_is_wrong_and_that_nothing_happened(folder: Path) -> None:
    path = folder / "tenant.yaml"
    path.write_text("clients: [{name: A, colour: red}]")
    with pytest.raises(CommandError, match=r"nothing was changed.\n  clients\[0\].colour: is not known here"):
        call_command("apply", str(path))


def test_the_command_says_what_it_did(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "tenant.yaml"
    path.write_text("tenant: {friendly_name: Fabrikam}")
    call_command("apply", str(path))
    call_command("apply", str(path))
    assert capsys.readouterr().out.splitlines() == [
        "updated   tenant Fabrikam",
        "          friendly_name: Curfew -> Fabrikam",
        "unchanged tenant Fabrikam",
    ]


# --- who hears of what, where the file is in Auth0's shape --------------------------------------------------------------
DEAF_AT_AUTH0 = (
    "password-changed, session-expired, session-revoked, account-deleted, email-identifier-changed, "
    "mfa-phone-unenrolled, account-deactivated, access-lost, deprovisioned"
)


def warned(folder: Path, capsys: pytest.CaptureFixture[str], logout: str) -> list[str]:
    path = folder / "tenant.yaml"
    path.write_text(
        f"clients: [{{name: Wiki, client_id: wiki, callbacks: ['https://w.example/cb'], oidc_logout: {logout}}}]"
    )
    call_command("apply", str(path))
    return capsys.readouterr().err.splitlines()


def test_where_the_file_is_silent_auth0_s_default_applies_and_apply_says_what_is_not_heard(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # as long as it is so
        (line,) = warned(folder, capsys, "{backchannel_logout_urls: ['https://w.example/bc']}")
        assert line.startswith(f"warning: Wiki is not told of {DEAF_AT_AUTH0}, as at Auth0")
        assert "{mode: all}" in line
    assert Application.objects.get().backchannel_logout_initiators == ["rp-logout", "idp-logout"]


@pytest.mark.parametrize(
    ("initiators", "heard"),
    [
        ("{mode: all}", True),
        ("{mode: custom, selected_initiators: [session-revoked]}", True),
        ("{selected_initiators: [session-revoked]}", True),
        ("{selected_initiators: [rp-logout]}", False),
        ("{mode: custom}", False),
    ],
)
def test_what_the_file_says_is_taken_without_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str], initiators: str, heard: bool
) -> None:
    urls = "backchannel_logout_urls: ['https://w.example/bc']"
    assert warned(folder, capsys, f"{{{urls}, backchannel_logout_initiators: {initiators}}}") == []
    assert Application.objects.get().hears_of("session-revoked") is heard


def test_an_application_that_was_made_here_keeps_hearing_of_everything(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Application.objects.create(name="Wiki", client_id="wiki", redirect_uris="https://w.example/cb")
    assert warned(folder, capsys, "{backchannel_logout_urls: ['https://w.example/bc']}") == []
    assert Application.objects.get().deaf_to == []


def test_an_application_without_a_back_channel_is_not_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert warned(folder, capsys, "{frontchannel_logout_uri: 'https://w.example/fc'}") == []


def test_the_address_of_an_okta_organization_is_understood_as_its_domain(tmp_path: Path) -> None:
    text = "connections: [{name: acme, strategy: okta, options: {domain: 'https://acme.okta.com/', client_id: 0oa1}}]"
    apply(tmp_path, text)
    connection = Connection.objects.get(name="acme")
    known = read(connection.strategy, connection.options)
    assert known.discovery_url == "https://acme.okta.com/.well-known/openid-configuration"
    assert apply(tmp_path, text)["acme"] == "unchanged"
