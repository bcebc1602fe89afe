"""`manage.py export` and back: every field that an administrator sets comes again in an empty Curfew.

What is settable is read from the models and the admin's pages, so a field of tomorrow fails here until the tenant file has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import models
from django.test import RequestFactory
from django.utils import timezone
from joserfc.jwk import ECKey

from idp.connections.options import secret_context
from idp.crypto import sealing
from idp.models import (
    Application,
    ClientGrant,
    Connection,
    Group,
    Provisioning,
    ResourceServer,
    Role,
    TenantSettings,
    User,
)
from idp.tenants import apply as tenant
from idp.tenants import configuration
from idp.tenants.file import export
from idp.tenants.file.references import SecretNames
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream
from logout_app.streams import manage
from tests.support.event_streams import make_receiver

pytestmark = pytest.mark.django_db

COVERED = (TenantSettings, Application, Connection, Provisioning, ResourceServer, Group, Role, ClientGrant, EventStream)
FOLLOWS = "follows from other columns when the row is saved"
UPLOADED = "a picture of this installation; a file says an address (picture_url)"
NO_FIELDS = {  # what a file does not say of a row, and why
    **{f"Application.{name}": FOLLOWS for name in ("client_type", "authorization_grant_type", "skip_authorization")},
    **{f"Application.{name}": FOLLOWS for name in ("saml_soap_logout_uri", "saml_logout_uri")},
    "Application.algorithm": "of django-oauth-toolkit; ours is id_token_signed_response_alg",
    "Application.hash_client_secret": "of django-oauth-toolkit: secrets are always hashed here",
    "Application.registration_source": "of django-oauth-toolkit; ours is ClientRegistration",
    "Application.cimd_expires_at": "of django-oauth-toolkit, for documents that are not read here",
    "Application.user": "nobody owns an application",
    "Application.id": "the database's own",
    "Connection.enabled_for_all": "said by enabled_clients, which is left out where it is so; compared below",
    "Group.connection": "groups of connections come from there",
    "Role.people": "people are no configuration; `users` of a file names their roles",
    "Provisioning.connection": "where it stands in the file",
    **{f"TenantSettings.{name}": UPLOADED for name in ("logo_upload", "logo_dark_upload", "favicon_upload")},
    "EventStream.reason": "why it stands still now",
    "ClientGrant.application": "compared below as client_id",
    "ClientGrant.resource_server": "compared below as audience",
}
NO_PAGES = {  # pages of the admin that change something and are no configuration
    "idp.User": "people are no configuration",
    "auth.Group": "powers in the admin, which people have",
    "idp.Invitation": "people are no configuration",
}
JWKS = {"keys": [ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES"}).as_dict(private=False)]}
FINGERPRINT = ":".join(["AB"] * 32)


def fill() -> None:
    """A Curfew in which no field has its default, in one row or another."""
    _tenant()
    _applications()
    _connections()
    api = ResourceServer.objects.create(
        identifier="https://api.example.com/",
        name="Things",
        scopes=[{"value": "read:things", "description": "Read them"}, {"value": "write:things"}],
        token_lifetime=60,
        token_dialect="rfc9068_profile_authz",
        enforce_policies=True,
        signing_alg="ES256",
        allow_offline_access=False,
    )
    Group.objects.create(name="Всё, что угодно", description="In Cyrillic letters")
    Role.objects.create(
        name="operators",
        description="Who keep it running",
        permissions=[{"resource_server_identifier": api.identifier, "permission_name": "read:things"}],
        groups=["staff", {"connection": "acme", "name": "ops"}],
    )
    ClientGrant.objects.create(
        application=Application.objects.get(client_id="machine"), resource_server=api, scope=["read:things"]
    )
    _streams()


def _tenant() -> None:
    row = configuration.load_tenant()
    for name, value in {
        "friendly_name": "Fabrikam: #1 *in* 'quotes'",
        "picture_url": "https://fabrikam.example/logo.png",
        "accent_color": "#2450b8",
        "picture_url_dark": "https://fabrikam.example/dark.png",
        "favicon_url": "https://fabrikam.example/icon.png",
        "background_color": "#fafafa",
        "background_color_dark": "#101010",
        "privacy_url": "https://fabrikam.example/privacy",
        "imprint_url": "https://fabrikam.example/imprint",
        "texts": {"login": {"en": "Staff only", "de": "Nur Personal"}},
        "mail_templates": {"reset_email": {"de": {"subject": "Passwort", "body": "Hier:\n\n{url}"}}},
        "support_email": "help@fabrikam.example",
        "support_url": "https://fabrikam.example/help",
        "allowed_logout_urls": ["https://fabrikam.example/out"],
        "session_lifetime_in_minutes": 61,
        "idle_session_lifetime_in_minutes": 31,
        "persistent_session_cookie": False,
        "max_sessions_per_user": 3,
        "remember_second_factor_days": 7,
        "oidc_logout_prompt_enabled": False,
        "v2_logout_confirmation": "cross_site",
        "require_mfa": True,
        "require_mfa_groups": ["staff", {"connection": None, "name": "staff"}],
        "session_management": True,
        "dynamic_client_registration": True,
        "profile": "ipsie",
        "require_pkce": True,
        "require_pushed_authorization_requests": True,
        "sign_out_timeout": 7,
        "password_change_ends_other_sessions": False,
        "security_mails": "off",
        "default_language": "de",
        "history_retention_days": 30,
        "legal_hold": "Case 7",
    }.items():
        setattr(row, name, value)
    row.save()


def _applications() -> None:
    Application.objects.create(
        client_id="bank",
        name="Bank",
        client_secret="a-secret-of-the-bank-0123456789",
        app_type="native",
        token_endpoint_auth_method="client_secret_basic",
        grant_types=["authorization_code"],
        redirect_uris="https://bank.example/cb com.example.bank:/cb",
        post_logout_redirect_uris="https://bank.example/out",
        allow_logout_url_wildcards=True,
        web_origins=["https://bank.example"],
        allowed_origins="https://bank.example https://m.bank.example",
        logo_uri="https://bank.example/logo.png",
        policy_uri="https://bank.example/policy",
        tos_uri="https://bank.example/terms",
        enabled=False,
        require_pkce=True,
        id_token_signed_response_alg="ES256",
        id_token_encrypted_response_alg="ECDH-ES",
        subject_type="pairwise",
        sector_identifier_uri="https://bank.example/sector.json",
        require_pushed_authorization_requests=True,
        dpop_bound_access_tokens=True,
        strict_client_assertions=True,
        userinfo_signed_response_alg="PS256",
        scope_claims_in_userinfo_only=True,
        default_max_age=60,
        session_expiry=False,
        require_mfa=True,
        default_acr_values=["http://schemas.openid.net/pape/policies/2007/06/multi-factor"],
        id_token_lifetime=61,
        access_token_lifetime=62,
        access_tokens_die_with_session=False,
        jwks=JWKS,
        backchannel_logout_uri="https://bank.example/logout",
        backchannel_logout_session_required=False,
        backchannel_logout_token_typ="JWT",
        backchannel_logout_include_sub=False,
        backchannel_logout_initiators_mode="custom",
        backchannel_logout_initiators=["rp-logout"],
        frontchannel_logout_uri="https://bank.example/front",
        frontchannel_logout_session_required=True,
        global_token_revocation_uri="https://bank.example/gtr",
        reauthentication_uri="https://bank.example/again",
        command_endpoint="https://bank.example/commands",
        outbound_hosts=["bank.example"],
        saml={"audience": "https://bank.example/saml", "logout": {"soap": "https://bank.example/soap"}},
        android_package_name="com.example.bank",
        android_fingerprints=FINGERPRINT,
        ios_team_id="9JA89QQLNQ",
        ios_bundle_id="com.example.bank",
        session_refresh_tokens=False,
        refresh_token_rotating=False,
        refresh_token_leeway=5,
        refresh_token_lifetime=None,
        refresh_token_idle_lifetime=63,
        access_mode="groups",
        access_groups=["staff"],
        access_loss_signs_out=True,
        claim_mappings=[{"claim": "https://bank.example/roles", "from": "groups", "in": ["id_token"]}],
    )
    Application.objects.create(  # who speaks the one protocol does not speak the other
        client_id="intranet",
        name="Intranet",
        client_secret="a-secret-of-the-intranet-0123456789",
        grant_types=[],
        redirect_uris="https://intranet.example/signin-wsfed",
        wsfed={"realm": "urn:intranet"},
    )
    Application.objects.create(
        client_id="machine",
        name="Bank",  # of the same name
        app_type="non_interactive",
        is_first_party=False,
        token_endpoint_auth_method="private_key_jwt",
        client_secret="",
        grant_types=["client_credentials"],
        jwks_uri="https://machine.example/jwks.json",
        refresh_token_idle_lifetime=None,
    )


def _connections() -> None:
    acme = Connection.objects.create(
        name="acme",
        strategy="okta",
        display_name="Acme & Sons",
        icon_url="https://acme.example/icon.png",
        enabled=False,
        options={
            "domain": "acme.okta.com",
            "client_id": "0oa1",
            "email_is_verified": True,
            "domain_aliases": ["acme.example"],
        },
        sealed_options={"client_secret": sealing.seal("hush-hush", secret_context("acme", "client_secret"))},
        enabled_for_all=False,
    )
    acme.enabled_clients.set(Application.objects.filter(client_id="bank"))
    row = Provisioning.objects.create(
        connection=acme, enabled=False, sign_in_by="userName", required_group="staff", only_provisioned=True
    )
    row.applications.set(Application.objects.filter(client_id="machine"))
    Connection.objects.create(name="FabrikamAD", strategy="auth0", options={"passwordPolicy": "excellent"})


def _streams() -> None:
    """One that administrators look after, one that its receiver made, and a webhook."""
    watcher = EventStream(
        public_id="a" * 24,
        name="Watcher",
        endpoint="https://watcher.example/events",
        audiences=["https://watcher.example"],
        description="A test",
        events=["https://schemas.openid.net/secevent/caep/event-type/session-revoked"],
        status="paused",
        halted=True,
        algorithm="ES256",
        subject_format="complex",
        subject_place="both",
    )
    watcher.authorization = manage.seal(watcher, "authorization", "Bearer of-the-watcher")
    polled = EventStream(
        public_id="b" * 24,
        name="Receiver",
        application=make_receiver(),
        method="poll",
        older_names=True,
        audiences=["receiver", "it"],
        events=["https://example.com/what-we-do-not-have"],
    )
    hook = EventStream(
        kind="webhook",
        public_id="c" * 24,
        name="SIEM: 'prod'",
        endpoint="https://siem.example/in?x=1",
        events=["ended"],
        status="disabled",
        halted=True,
        body_format="lines",
    )
    hook.authorization = manage.seal(hook, "authorization", "Bearer of-the-siem")
    hook.secret = manage.seal(hook, "secret", "whsec_0123456789abcdef0123456789")
    EventStream.objects.bulk_create([watcher, polled, hook])


def settable(model: type[models.Model]) -> Iterator[str]:
    for field in (*model._meta.concrete_fields, *model._meta.many_to_many):
        is_ours = field.editable and not isinstance(field, models.AutoField)
        if is_ours and f"{model.__name__}.{field.name}" not in NO_FIELDS:
            yield field.name


def facts() -> dict[str, Any]:
    """What the file must bring again, by model and row."""
    found: dict[str, Any] = {}
    for model in COVERED:
        for row in model._default_manager.all():
            if getattr(row, "is_system", False):
                continue  # our own API, which is made at the start
            name = f"{model.__name__} {getattr(row, 'client_id', None) or _key(row)}"
            found[name] = {field: _value(row, field) for field in settable(model)}
    found |= {f"{row.name} is for all": row.enabled_for_all for row in Connection.objects.all()}
    secrets = [(row, row.sealed_options.get("client_secret")) for row in Connection.objects.all()]
    found["secrets"] = [
        sealing.unseal(envelope, secret_context(row.name, "client_secret")) for row, envelope in secrets if envelope
    ]
    for row in EventStream.objects.all():
        found[f"{row} has"] = {
            column: sealing.unseal(envelope, sealed_for(row, column))
            for column in ("authorization", "secret")
            if (envelope := getattr(row, column))
        }
        found[f"{row} stays"] = (row.public_id, row.halted)
    return found


def _key(row: Any) -> str:
    if isinstance(row, ClientGrant):
        return f"{row.application.client_id} at {row.resource_server.identifier}"
    return str(row.connection.name) if isinstance(row, Provisioning) else str(getattr(row, "name", row.pk))


def _value(row: Any, field: str) -> Any:
    if row._meta.get_field(field).many_to_many:
        return sorted(getattr(row, field).values_list("client_id", flat=True))
    if field == "application":
        return row.application and row.application.client_id
    if field == "client_secret" and not row.has_secret:
        return "not used"
    return getattr(row, field)


def empty() -> None:
    for model in reversed(COVERED):
        model._default_manager.all().delete()
    configuration.load_tenant()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setenv("CLIENT_BANK_SECRET", "a-secret-of-the-bank-0123456789")
    monkeypatch.setenv("CLIENT_INTRANET_SECRET", "a-secret-of-the-intranet-0123456789")
    monkeypatch.setenv("CONNECTION_ACME_CLIENT_SECRET", "hush-hush")
    monkeypatch.setenv("CLIENT_RECEIVER_SECRET", "a-test-secret-of-enough-length-0123456789")
    monkeypatch.setenv("STREAM_WATCHER_AUTHORIZATION", "Bearer of-the-watcher")
    monkeypatch.setenv("WEBHOOK_SIEM_PROD_AUTHORIZATION", "Bearer of-the-siem")
    monkeypatch.setenv("WEBHOOK_SIEM_PROD_SECRET", "whsec_0123456789abcdef0123456789")


def test_no_field_of_the_test_has_its_default() -> None:
    fill()
    same = []
    for model in COVERED:
        default, rows = model(), list(model._default_manager.all())
        for field in settable(model):
            if model._meta.get_field(field).many_to_many:
                differs = any(_value(row, field) for row in rows)
            else:
                differs = any(getattr(row, field) != getattr(default, field) for row in rows)
            same += [] if differs else [f"{model.__name__}.{field}"]
    assert same == [], "give these another value in fill(), and the tenant file a key: or NO_FIELDS a reason"


def test_every_page_that_changes_something_is_of_a_covered_model() -> None:
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True)
    pages = {
        model._meta.concrete_model._meta.label
        for model, page in admin.site._registry.items()
        if page.has_add_permission(request) or page.has_change_permission(request)
    }
    assert pages - {model._meta.label for model in COVERED} - NO_PAGES.keys() == set()
    assert NO_PAGES.keys() <= pages, "a reason for a page that is none"


def test_export_apply_export_is_the_identity(environment: None, tmp_path: Path) -> None:
    fill()
    before, path = facts(), tmp_path / "tenant.yaml"
    call_command("export", str(path))
    first = path.read_text()
    assert "hush-hush" not in first
    assert "a-secret-of-the-bank" not in first
    assert [word for word in ("of-the-watcher", "of-the-siem", "whsec_") if word in first] == []
    assert {outcome.what for outcome in tenant.apply(path, at=timezone.now(), prune=True)} == {"unchanged"}
    empty()
    tenant.apply(path, at=timezone.now())
    assert facts() == before
    assert export.text(SecretNames()) == first


def test_a_null_takes_away_what_may_be_empty(environment: None, tmp_path: Path) -> None:
    fill()
    path = tmp_path / "tenant.yaml"
    path.write_text(
        "clients: [{client_id: bank, name: Bank, default_max_age: null, session_refresh_tokens: null, jwks: null, "
        "id_token_encrypted_response_alg: ''}]"
    )
    (outcome,) = tenant.apply(path, at=timezone.now())
    row = Application.objects.get(client_id="bank")
    assert (outcome.what, row.default_max_age, row.session_refresh_tokens, row.jwks) == ("updated", None, None, None)


def test_an_export_never_overwrites_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tenant.yaml"
    path.write_text("mine")
    with pytest.raises(CommandError, match="File exists"):
        call_command("export", str(path))
    assert path.read_text() == "mine"


def test_secrets_of_the_same_name_get_names_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    for client_id in ("a", "b"):
        Application.objects.create(client_id=client_id, name="Bank", redirect_uris="https://b.example/cb")
    call_command("export")
    out, err = capsys.readouterr()
    named = [client["client_secret"] for client in yaml.safe_load(out)["clients"]]
    assert named == [{"env": "CLIENT_BANK_SECRET"}, {"env": "CLIENT_BANK_SECRET_2"}]
    assert err.splitlines() == [f"Applying it needs {each['env']} in the environment." for each in named]
