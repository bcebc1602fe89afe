"""The seams with django-oauth-toolkit, pinned: an upgrade that moves one of them fails here."""

from base64 import b64encode
from datetime import timedelta
from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import call_command, get_commands
from django.test import RequestFactory
from django.urls import get_resolver
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)
from oauth2_provider.oauth2_backends import get_oauthlib_core
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views import TokenView

from idp.models import Application
from idp.protocol.opaque import digest
from sessions_app.models import (
    AccessToken,
    AuthorizationCode,
    DeviceGrant,
    IDToken,
    RefreshToken,
    RefreshTokenFamily,
    SSOSession,
)
from sessions_app.oauth.toolkit import CurfewValidator
from tests.support.factories import make_application
from tests.support.oauth import credentials, post_form, refresh, tokens_for, userinfo

pytestmark = pytest.mark.django_db


def test_all_models_are_ours():
    assert get_application_model() is Application
    assert get_access_token_model() is AccessToken
    assert get_refresh_token_model() is RefreshToken
    assert get_grant_model() is AuthorizationCode
    assert get_id_token_model() is IDToken
    assert get_device_grant_model() is DeviceGrant
    assert oauth2_settings.OAUTH2_VALIDATOR_CLASS is CurfewValidator


def bearer_is_valid(raw, scopes=("openid",)):
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {raw}"})
    valid, _ = get_oauthlib_core().verify_request(request, scopes=list(scopes))
    return valid


def test_tokens_that_we_insert_are_seen_by_the_bearer_check_and_die_with_the_session(app, session):
    raw = tokens_for(session, app)["access_token"]
    assert bearer_is_valid(raw)
    assert not bearer_is_valid(raw, ["read:things"])
    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert not bearer_is_valid(raw)


def test_a_revoked_family_kills_the_bearer_token(app, session):
    raw = tokens_for(session, app, scope="openid offline_access")["access_token"]
    RefreshTokenFamily.objects.update(revoked_at=timezone.now())
    assert not bearer_is_valid(raw)


def test_saving_a_token_keeps_its_checksum(app, session):
    raw = tokens_for(session, app)["access_token"]
    AccessToken.objects.get().save()
    assert AccessToken.rows.get().token_checksum == digest(raw)
    assert bearer_is_valid(raw)


@pytest.mark.parametrize(
    "grant",
    [
        "authorization_code",
        "refresh_token",
        "password",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
)
def test_its_token_view_issues_nothing_by_itself(app, grant):
    form = {
        "grant_type": grant,
        "client_id": app.client_id,
        "client_secret": app.raw_secret,
        "code": "x",
        "refresh_token": "x",
        "username": "mary",
        "password": "x",
        "device_code": "x",
    }
    request = RequestFactory().post("/", form)
    assert TokenView.as_view()(request).status_code in (400, 401, 404)
    assert not AccessToken.rows.exists()


def test_a_header_cannot_pretend_that_our_view_has_decided(app):
    form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.raw_secret}
    request = RequestFactory().post(
        "/", form, headers={"curfew.client_credentials": "x", "Curfew-Client-Credentials": "x"}
    )
    assert TokenView.as_view()(request).status_code in (400, 401)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("", ""),
        ("", "client_sha256$e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("secret", "secret"),
        ("client_sha256$x", "client_sha256$x"),
        ("secret", "pbkdf2_sha256$1$a$b"),
    ],
)
def test_secrets_fail_closed(given, stored):
    """No empty secret, no comparison in clear, no hasher but ours."""
    assert not CurfewValidator()._check_secret(given, stored)


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
@pytest.mark.parametrize("secret", ["", None])
def test_an_empty_secret_opens_neither_introspection_nor_a_token(session, method, secret):
    """The toolkit stores a blank secret as the hash of nothing, which then matches nothing."""
    grants = ["authorization_code", "client_credentials"]
    blank = make_application("Blank", client_secret="", token_endpoint_auth_method=method, grant_types=grants)
    raw = tokens_for(session, make_application("Other"))["access_token"]
    form = {"client_id": "blank"} | ({} if secret is None else {"client_secret": secret})
    assert not post_form("/oauth/introspect", {**form, "token": raw}).json().get("active")
    assert post_form("/oauth/token", {**form, "grant_type": "client_credentials"}).status_code in (400, 401)
    basic = {"Authorization": "Basic " + b64encode(b"blank:").decode()}
    assert post_form("/oauth/token", {"grant_type": "client_credentials"}, headers=basic).status_code in (400, 401)
    assert not AccessToken.rows.filter(application=blank).exists()


def test_an_unknown_hasher_never_makes_the_stored_hash_a_secret(settings, app):
    """Without our hasher the toolkit compares with the stored string. `manage.py check` finds it too."""
    settings.PASSWORD_HASHERS = ["idp.people.hashers.OwaspArgon2Hasher"]
    app.refresh_from_db()
    assert not CurfewValidator()._check_secret(app.client_secret, app.client_secret)
    form = {"client_id": app.client_id, "client_secret": app.client_secret, "token": "x"}
    assert post_form("/oauth/introspect", form).status_code == 401
    assert "idp.E011" in {message.id for message in run_checks(tags=["security"])}


def test_no_view_of_the_toolkit_is_mounted():
    """Its introspection answers every client, its device endpoint fails, its registration drops URLs."""

    def views(patterns):
        for pattern in patterns:
            yield from views(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern.callback]

    found = [view for view in views(get_resolver().url_patterns) if view.__module__.startswith("oauth2_provider")]
    assert found == []


def test_a_disabled_application_has_no_living_tokens(app, session):
    """The toolkit's introspection would still say active."""
    body = tokens_for(session, app, scope="openid offline_access")
    Application.objects.filter(pk=app.pk).update(enabled=False)
    assert not bearer_is_valid(body["access_token"])
    assert userinfo(body["access_token"]).status_code == 401
    assert post_form("/oauth/introspect", {**credentials(app), "token": body["access_token"]}).json() != {
        "active": True
    }


def test_cleartokens_is_ours_and_spares_living_tokens(app, session):
    """The toolkit's own command deletes every refresh token of ours, whatever its age."""
    assert get_commands()["cleartokens"] == "logout_app"
    living = tokens_for(session, app)
    out = StringIO()
    call_command("cleartokens", stdout=out)
    assert "refreshtokenfamily: 0\n" in out.getvalue()
    assert refresh(app, living["refresh_token"]).status_code == 200
    assert userinfo(living["access_token"]).status_code == 200


def test_cleartokens_deletes_what_is_dead_for_good(app, session):
    tokens_for(session, app)
    long_ago = timezone.now() - timedelta(days=365)
    AccessToken.rows.update(expires=long_ago)
    RefreshTokenFamily.objects.update(revoked_at=long_ago)
    AuthorizationCode.objects.update(expires=long_ago)
    call_command("cleartokens", stdout=StringIO())
    assert not AccessToken.rows.exists()
    assert not RefreshTokenFamily.objects.exists()
    assert not RefreshToken.objects.exists()
    assert not AuthorizationCode.objects.exists()
