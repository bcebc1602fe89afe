"""Connections in the admin: strategy and name, then one form; what it refuses in words, what it tells to paste where."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from idp.admin.connections.by_strategy import FORMS
from idp.connections.oidc.options import read
from idp.connections.options import KEYS, SECRETS
from idp.crypto import sealing
from idp.models import Connection, Strategy
from logout_app.models import LogoutEvent, RevocationRequest
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.unrendered import form_of, unrendered

pytestmark = pytest.mark.django_db
OKTA = {"domain": "fabrikam.okta.com", "client_id": "0oa1", "client_secret": "hush-hush", "enabled_for_all": "on"}
DIRECTORY = {"servers": "ldaps://dc1.fabrikamcorp.com", "base_dn": "DC=fabrikamcorp,DC=com", "enabled_for_all": "on"}


def add_url(name: str = "acme-okta", strategy: str = "okta") -> str:
    return f"{reverse('admin:idp_connection_add')}?{urlencode({'strategy': strategy, 'name': name})}"


def change_url(connection: Connection) -> str:
    return reverse("admin:idp_connection_change", args=(connection.pk,))


def errors_of(response: Any) -> dict[str, Any]:
    errors: dict[str, Any] = response.context["adminform"].form.errors
    return errors


def added() -> list[Connection]:
    """All but the connection of the administrator."""
    return list(Connection.objects.exclude(name="FabrikamAD"))


def shown(client: Client, url: str) -> dict[str, Any]:
    """What a browser would post that changes nothing on the page."""
    with unrendered():
        values = {field.html_name: field.value() for field in form_of(client.get(url))}
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_the_first_step_offers_every_strategy_and_writes_nothing(admin: Client) -> None:
    page = admin.get(reverse("admin:idp_connection_add")).content.decode()
    for strategy in Strategy:
        assert f'value="{strategy.value}"' in page
    assert admin.get(add_url()).status_code == 200
    assert added() == []


def test_the_second_step_tells_what_to_paste_before_anything_exists(admin: Client) -> None:
    page = admin.get(add_url("partner", "samlp")).content.decode()
    assert "http://localhost:8000/login/callback/partner" in page
    assert "http://localhost:8000/samlp/partner/metadata" in page
    assert added() == []


def test_one_form_adds_a_whole_connection(admin: Client) -> None:
    assert admin.post(add_url(), OKTA).status_code == 302
    (connection,) = added()
    assert (connection.name, connection.strategy, connection.enabled) == ("acme-okta", "okta", False)
    assert connection.options == {"domain": "fabrikam.okta.com", "client_id": "0oa1"}
    assert sealing.unseal(connection.sealed_options["client_secret"], "connection:acme-okta:client_secret") == (
        "hush-hush"
    )


def test_the_address_of_an_okta_console_is_understood_as_its_domain(admin: Client) -> None:
    pasted = {**OKTA, "domain": "https://fabrikam-admin.okta.com/admin/dashboard"}
    assert admin.post(add_url(), pasted).status_code == 302
    (connection,) = added()
    known = read(connection.strategy, connection.options)
    assert known.discovery_url == "https://fabrikam.okta.com/.well-known/openid-configuration"


@pytest.mark.spec("RFC 9700", "4.4.2.1", "A new upstream gets a callback URL of its own")
@pytest.mark.parametrize("strategy", ["oidc", "okta", "google-oauth2", "waad", "adfs"])
def test_a_new_connection_has_a_callback_of_its_own_unless_somebody_says_no(admin: Client, strategy: str) -> None:
    response = admin.get(add_url("partner", strategy))
    assert response.context["adminform"].form["own_callback"].value() is True
    pasted = {entry.value for group in response.context["paste"] for entry in group.entries}
    assert "http://localhost:8000/login/callback/partner" in pasted
    said = str(response.context["adminform"].form.fields["own_callback"].help_text)
    assert "is http://localhost:8000/login/callback/partner; not ticked, http://localhost:8000/login/callback." in said


def test_what_the_form_ticks_is_kept_and_what_exists_stays_as_it_is(admin: Client) -> None:
    assert admin.post(add_url(), {**OKTA, "own_callback": "on"}).status_code == 302
    (connection,) = added()
    assert connection.options["own_callback"] is True
    older = make_connection("older", "okta", options={"domain": "o.okta.com", "client_id": "1"})
    response = admin.get(change_url(older))
    assert not response.context["adminform"].form["own_callback"].value()
    assert admin.post(change_url(older), {**shown(admin, change_url(older)), "client_id": "2"}).status_code in (
        200,
        302,
    )
    older.refresh_from_db()
    assert "own_callback" not in older.options


def test_a_connection_may_require_a_second_factor_or_trust_its_own(admin: Client) -> None:
    said = {"require_mfa": "on", "trust_upstream_mfa": "on"}
    assert admin.post(add_url(), {**OKTA, **said}).status_code == 302
    (connection,) = added()
    assert (connection.options["require_mfa"], connection.options["trust_upstream_mfa"]) == (True, True)
    fields = admin.get(add_url("people", "auth0")).context["adminform"].form.fields
    assert "require_mfa" in fields
    assert "trust_upstream_mfa" not in fields


@pytest.mark.parametrize("name", ["has space", "-lead", "a--b", "a/b", "", "ä", "a\0b"])
def test_a_connection_name_follows_auth0s_pattern(admin: Client, name: str) -> None:
    response = admin.post(add_url(name), OKTA)
    assert "name" in response.context["form"].errors
    assert added() == []


def test_a_name_that_exists_is_refused_at_the_first_step(admin: Client) -> None:
    make_connection("acme-okta", "okta")
    assert "already exists" in admin.post(add_url(), OKTA).content.decode()
    assert len(added()) == 1


@pytest.mark.parametrize("strategy", ["", "nobody", "okta'--"])
def test_a_strategy_that_is_none_is_refused_at_the_first_step(admin: Client, strategy: str) -> None:
    assert "strategy" in admin.post(add_url(strategy=strategy), OKTA).context["form"].errors


def test_who_may_not_add_connections_does_not_see_the_first_step_either() -> None:
    clerk = make_user("clerk@fabrikamcorp.com", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_connection"))
    client = browser(make_session(clerk))
    assert client.get(reverse("admin:idp_connection_add")).status_code == 403
    assert client.post(add_url(), OKTA).status_code == 403


def test_a_database_connection_has_typed_options(admin: Client) -> None:
    data = {
        "passwordPolicy": "excellent",
        "disable_signup": "on",
        "passkey_options__enabled": "on",
        "passkey_options__challenge_ui": "button",
        "domain_aliases": "fabrikamcorp.com",
        "enabled_for_all": "on",
    }
    assert admin.post(add_url("People", "auth0"), data).status_code == 302
    assert Connection.objects.get(name="People").options == {
        "passwordPolicy": "excellent",
        "brute_force_protection": False,
        "disable_signup": True,
        "passkey_options": {"enabled": True, "challenge_ui": "button", "progressive_enrollment_enabled": False},
        "domain_aliases": ["fabrikamcorp.com"],
    }


@pytest.mark.parametrize("strategy", Strategy.values)
def test_every_option_of_a_strategy_can_be_typed_somewhere(strategy: str) -> None:
    form = FORMS[strategy](instance=Connection(name="x", strategy=strategy))
    offered = form.covered() | set(form.fields["other"].keys) | set(form.secret_fields())  # type: ignore[attr-defined]
    assert offered | {"display_name", "icon_url"} == KEYS[strategy]
    in_topics = [name for _, fieldset in form.fieldsets() for name in fieldset["fields"]]
    assert sorted(in_topics) == sorted({*form.option_fields(), *form.secret_fields(), "other"})


@pytest.mark.parametrize("strategy", Strategy.values)
def test_every_field_has_a_label_and_a_sentence_of_help(strategy: str) -> None:
    form = FORMS[strategy](instance=Connection(name="x", strategy=strategy))
    for name in form.option_fields():
        assert form.fields[name].label, name
        if name not in ("protocol", "signatureAlgorithm", "digestAlgorithm", "waad_protocol"):
            assert form.fields[name].help_text, name


FULL: dict[str, dict[str, Any]] = {
    "oidc": {
        "discovery_url": "https://login.example.com/.well-known/openid-configuration",
        "client_id": "curfew",
        "scope": ["openid", "email"],
        "oidc_metadata": {"end_session_endpoint": "https://login.example.com/out", "kept": "by the form"},
        "logout": {"hint": "client_id"},
        "upstream_params": {"audience": {"value": "x"}},
        "attribute_map": {"mapping_mode": "use_map", "attributes": {"email": "${context.tokenset.upn}"}},
        "id_token_signed_response_algs": ["RS256", "ES256"],
        "type": "back_channel",
    },
    "ad": {
        "servers": ["ldaps://dc1.fabrikamcorp.com", "ldaps://dc2.fabrikamcorp.com"],
        "base_dn": "DC=fabrikamcorp,DC=com",
        "bind_dn": "curfew@fabrikamcorp.com",
        "domain_aliases": ["fabrikamcorp.com"],
    },
    "samlp": {
        "metadataUrl": "https://idp.example.com/metadata",
        "user_id_attribute": ["objectGUID", "uid"],
        "fieldsMap": {"email": "mail"},
        "idpinitiated": {"enabled": True, "client_id": "x"},
        "signSAMLRequest": True,
    },
    "waad": {"tenantId": "11111111-2222-3333-4444-555555555555", "client_id": "c", "scope": "openid"},
}


@pytest.mark.parametrize("strategy", FULL)
def test_saving_what_was_shown_changes_nothing(admin: Client, strategy: str) -> None:
    connection = make_connection("whole", strategy, options=FULL[strategy])
    admin.post(change_url(connection), shown(admin, change_url(connection)))
    connection.refresh_from_db()
    scope = FULL[strategy].get("scope")
    unified = {"scope": " ".join(scope)} if isinstance(scope, list) else {}  # both are Auth0's forms
    chosen = {"signatureAlgorithm": "rsa-sha256", "digestAlgorithm": "sha256"} if strategy == "samlp" else {}
    assert connection.options == {**FULL[strategy], **unified, **chosen}


def test_an_emptied_field_takes_its_option_away(admin: Client) -> None:
    connection = make_connection("whole", "oidc", options=FULL["oidc"])
    data = shown(admin, change_url(connection))
    del data["oidc_metadata__end_session_endpoint"], data["logout__hint"], data["scope"]
    assert admin.post(change_url(connection), data).status_code == 302
    connection.refresh_from_db()
    assert connection.options["oidc_metadata"] == {"kept": "by the form"}
    assert "logout" not in connection.options
    assert "scope" not in connection.options


@pytest.mark.parametrize(
    ("strategy", "data", "field"),
    [
        ("okta", {**OKTA, "domain": "https://fabrikam@okta.com"}, "domain"),
        ("okta", {**OKTA, "client_id": ""}, "client_id"),
        ("okta", {**OKTA, "issuer": "gopher://x"}, "issuer"),
        ("okta", {**OKTA, "issuer": "http://login.example.com/"}, "issuer"),
        ("okta", {**OKTA, "token_endpoint_auth_method": "guess"}, "token_endpoint_auth_method"),
        ("okta", {**OKTA, "id_token_signed_response_algs": "HS256"}, "id_token_signed_response_algs"),
        ("okta", {**OKTA, "icon_url": "javascript:alert(1)"}, "icon_url"),
        ("okta", {**OKTA, "logout__url": "javascript:alert(1)"}, "logout__url"),
        ("okta", {**OKTA, "other": "[]"}, "other"),
        ("okta", {**OKTA, "other": "nope"}, "other"),
        ("okta", {**OKTA, "other": '{"client_secret": "in clear"}'}, "other"),
        ("okta", {**OKTA, "other": '{"typo": 1}'}, "other"),
        ("okta", {**OKTA, "other": '{"domain": "has a field of its own"}'}, "other"),
        ("okta", {**OKTA, "client_id": "a\0b"}, "client_id"),
        ("ad", {**DIRECTORY, "servers": "ldap://dc1.fabrikamcorp.com"}, "servers"),
        ("ad", {**DIRECTORY, "base_dn": ""}, "base_dn"),
        ("ad", {**DIRECTORY, "user_filter": "(uid=*)"}, "user_filter"),
        ("ad", {**DIRECTORY, "ca_certificate": "none"}, "ca_certificate"),
        ("samlp", {"metadataUrl": "ftp://x"}, "metadataUrl"),
        ("samlp", {"signInEndpoint": "https://idp.example.com/sso", "signingCert": "AAAA"}, "signingCert"),
        ("samlp", {"signInEndpoint": "https://idp.example.com/sso"}, "signingCert"),
        ("samlp", {}, "metadataUrl"),
        ("adfs", {"protocol": "oidc", "client_id": "c"}, "adfs_server"),
        ("adfs", {"protocol": "samlp"}, "adfs_server"),
    ],
)
def test_a_wrong_option_is_refused_beside_its_field(
    admin: Client, strategy: str, data: dict[str, Any], field: str
) -> None:
    assert field in errors_of(admin.post(add_url("x", strategy), data))
    assert added() == []


def test_several_signing_certificates_are_kept_apart(admin: Client) -> None:
    first, second = ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".replace("AAAA", t) for t in "AB")
    field = FORMS["samlp"](instance=Connection(name="x", strategy="samlp")).fields["signingCert"]
    assert field.clean(first) == first
    assert field.clean(f"{first}\r\n{second}\r\n") == [first, second]
    assert field.clean("QUFB\n\nQkJC") == ["QUFB", "QkJC"]


def test_a_private_key_is_no_certificate(admin: Client) -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    response = admin.post(add_url("x", "samlp"), {"signInEndpoint": "https://x.example/", "signingCert": pem})
    assert "private key" in str(errors_of(response)["signingCert"])


# --- secrets ---------------------------------------------------------------------------------------------------------------
def test_a_connections_secret_is_sealed_never_shown_and_never_logged(admin: Client) -> None:
    connection = make_connection("okta-main", "okta")
    assert admin.post(change_url(connection), OKTA).status_code == 302
    connection.refresh_from_db()
    assert "hush" not in str(connection.options)
    assert (
        sealing.unseal(connection.sealed_options["client_secret"], "connection:okta-main:client_secret") == "hush-hush"
    )
    page = admin.get(change_url(connection)).content.decode()
    assert "hush-hush" not in page
    assert connection.sealed_options["client_secret"] not in page
    assert "hush" not in LogEntry.objects.get().change_message
    assert "Client secret" in LogEntry.objects.get().get_change_message()


def test_a_secret_is_not_shown_again_after_a_mistake(admin: Client) -> None:
    page = admin.post(add_url(), {**OKTA, "domain": "not a host"}).content.decode()
    assert "hush-hush" not in page


def test_a_private_key_keeps_its_lines(admin: Client) -> None:
    connection = make_connection("partner", "samlp", options={"metadataUrl": "https://idp.example.com/metadata"})
    pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    data = shown(admin, change_url(connection)) | {"decryptionKey": pem}
    assert "AAAA" not in admin.post(change_url(connection), {**data, "other": "[]"}).content.decode()
    admin.post(change_url(connection), data)
    connection.refresh_from_db()
    assert sealing.unseal(connection.sealed_options["decryptionKey"], "connection:partner:decryptionKey") == pem


def test_a_secret_is_removed_by_its_box_only(admin: Client) -> None:
    sealed = {"client_secret": "v1.x.y"}
    connection = make_connection("okta-main", "okta", sealed_options=sealed)
    assert 'name="clear_client_secret"' in admin.get(change_url(connection)).content.decode()
    both = {**OKTA, "client_secret": "another", "clear_client_secret": "on"}
    assert "clear_client_secret" in errors_of(admin.post(change_url(connection), both))
    connection.refresh_from_db()
    assert connection.sealed_options == sealed
    gone = {**OKTA, "client_secret": "", "clear_client_secret": "on"}
    assert admin.post(change_url(connection), gone).status_code == 302
    connection.refresh_from_db()
    assert connection.sealed_options == {}
    assert "clear_client_secret" not in connection.options
    assert "Client secret: remove" in LogEntry.objects.latest("pk").get_change_message()
    page = admin.get(change_url(connection)).content.decode()
    assert "Not set." in page
    assert 'name="clear_client_secret"' not in page


def test_a_secret_that_is_left_empty_stays(admin: Client) -> None:
    options = {"domain": OKTA["domain"], "client_id": OKTA["client_id"]}
    connection = make_connection("okta-main", "okta", options=options, sealed_options={"client_secret": "v1.x.y"})
    assert admin.post(change_url(connection), {**OKTA, "client_secret": "", "client_id": "0oa2"}).status_code == 302
    assert Connection.objects.get(pk=connection.pk).sealed_options == {"client_secret": "v1.x.y"}


# --- what to paste where -------------------------------------------------------------------------------------------------------
OKTA_PASTE = (
    "http://localhost:8000/login/callback",
    "http://localhost:8000/logout/callback",
    "http://localhost:8000/oauth/global-token-revocation/connection/x",
    "https://fabrikam.okta.com",
    "0oa1",
)


@pytest.mark.parametrize(
    ("strategy", "options", "expected", "missing"),
    [
        ("okta", {"domain": "fabrikam.okta.com", "client_id": "0oa1"}, OKTA_PASTE, ("/samlp/",)),
        (
            "samlp",
            {"global_token_revocation_jwt_iss": "http://www.okta.com/exk1", "global_token_revocation_jwt_sub": "0oa9"},
            (
                "http://localhost:8000/login/callback/x",
                "http://localhost:8000/samlp/x/metadata",
                "http://localhost:8000/samlp/x/slo",
                "http://localhost:8000/oauth/global-token-revocation/connection/x",
                "http://www.okta.com/exk1",
                "0oa9",
            ),
            ("backchannel-logout",),
        ),
        (
            "oidc",
            {"issuer": "https://login.example.com/", "client_id": "curfew"},
            (
                "http://localhost:8000/backchannel-logout/x",
                "http://localhost:8000/frontchannel-logout/x",
                "https://login.example.com/",
            ),
            ("/samlp/",),
        ),
        ("waad", {"tenantId": "common"}, ("http://localhost:8000/frontchannel-logout/x",), ("/samlp/",)),
        ("adfs", {"protocol": "samlp"}, ("http://localhost:8000/samlp/x/metadata",), ("global-token-revocation",)),
        ("adfs", {}, ("http://localhost:8000/login/callback<",), ("/samlp/",)),
        (
            "google-oauth2",
            {},
            ("http://localhost:8000/login/callback",),
            ("global-token-revocation", "logout/callback"),
        ),
        ("ad", {}, (), ("What do I paste where",)),
        ("auth0", {}, (), ("What do I paste where",)),
    ],
)
def test_the_page_tells_what_to_paste_where(
    admin: Client, strategy: str, options: dict[str, Any], expected: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    page = admin.get(change_url(make_connection("x", strategy, options=options))).content.decode()
    for value in expected:
        assert f"<code data-copy>{value}" in page
    panel = page.partition("What do I paste where")[2].partition("</section>")[0]
    for value in missing:
        assert value not in (panel if "paste" not in value else page)


def test_the_page_shows_the_last_revocation_requests_and_their_outcome(admin: Client) -> None:
    connection = make_connection("acme", "okta")
    event = LogoutEvent.objects.create(initiator="idp-logout", actor="upstream:acme", sessions_ended=3)
    good = {"status": 204, "sub": "okta|acme|00u1", "subject": "email: ann@acme.example", "event": event}
    RevocationRequest.objects.create(connection=connection, **good)
    RevocationRequest.objects.create(connection=connection, status=401, reason="the signature is <not> ours")
    RevocationRequest.objects.create(connection=make_connection("other", "okta"), status=401, reason="elsewhere")
    page = admin.get(change_url(connection)).content.decode()
    assert "Revoked everything of okta|acme|00u1: 3 sessions ended." in page
    assert "Refused with 401: the signature is &lt;not&gt; ours" in page
    assert page.index("Refused with 401") < page.index("Revoked everything")  # newest first
    assert "elsewhere" not in page


def test_only_chosen_applications_may_use_it(admin: Client) -> None:
    app = make_application()
    assert admin.post(add_url(), {**OKTA, "enabled_for_all": "", "enabled_clients": [app.pk]}).status_code == 302
    (connection,) = added()
    assert not connection.enabled_for_all
    assert list(connection.enabled_clients.all()) == [app]


def test_a_connection_with_people_cannot_be_deleted(admin: Client) -> None:
    make_user()
    connection = make_connection()
    admin.post(reverse("admin:idp_connection_delete", args=(connection.pk,)), {"post": "yes"})
    assert Connection.objects.filter(pk=connection.pk).exists()


def test_no_secret_option_is_an_ordinary_field() -> None:
    for strategy, form in FORMS.items():
        assert not set(form.base_fields) & SECRETS, strategy
