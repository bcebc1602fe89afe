"""`session_expiry` of ID tokens: when the application's session must end, by whatever ends ours first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from idp.models import TenantSettings
from idp.tenants import configuration
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import decode, refresh, tokens_for

pytestmark = pytest.mark.django_db
IPSIE = "IPSIE OpenID Connect SL1"


def expiry_in(answer):
    return decode(answer["id_token"]).get("session_expiry")


@pytest.mark.spec(IPSIE, "3", "session_expiry is in the ID token, in whole seconds")
def test_an_id_token_says_when_the_session_ends(app, session):
    said = expiry_in(tokens_for(session, app))
    assert type(said) is int
    assert said == int(session.expires_at.timestamp())


def test_an_application_may_be_spared_it(session):
    assert expiry_in(tokens_for(session, make_application(session_expiry=False))) is None


def test_the_upstreams_end_counts_where_it_is_the_earliest(app):
    ends = timezone.now() + timedelta(hours=1)
    session = make_session(make_user(), expires_at=ends)
    assert expiry_in(tokens_for(session, app)) == int(ends.timestamp())


def test_a_tenant_whose_sessions_became_shorter_counts_at_once(app, session):
    row = configuration.load_tenant()
    row.session_lifetime_in_minutes = 60
    row.save()
    said = expiry_in(tokens_for(session, app))
    assert said == int((session.auth_time + timedelta(hours=1)).timestamp())
    assert TenantSettings.objects.get().session_lifetime_in_minutes == 60


def test_a_refresh_does_not_change_it_even_if_the_session_was_prolonged(app, session):
    first = tokens_for(session, app)
    SSOSession.objects.update(expires_at=session.expires_at + timedelta(days=3), auth_time=timezone.now())
    again = refresh(app, first["refresh_token"]).json()
    assert expiry_in(again) == expiry_in(first)
    assert expiry_in(refresh(app, again["refresh_token"]).json()) == expiry_in(first)


def test_an_offline_token_goes_on_saying_when_its_session_was_to_end(app, session):
    """The application's session is over by then, its work for the person is not."""
    first = tokens_for(session, app, scope="openid offline_access")
    SSOSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert expiry_in(refresh(app, first["refresh_token"]).json()) == expiry_in(first)


def test_a_family_of_an_earlier_release_says_what_its_session_says(app, session):
    first = tokens_for(session, app)
    RefreshTokenFamily.objects.update(session_expires_at=None, acr="")
    again = refresh(app, first["refresh_token"]).json()
    assert expiry_in(again) == expiry_in(first)
    assert decode(again["id_token"])["acr"] == "1"


def test_the_switch_counts_at_the_next_refresh(app, session):
    first = tokens_for(session, app)
    app.session_expiry = False
    app.save()
    assert expiry_in(refresh(app, first["refresh_token"]).json()) is None
