import pytest
from django.conf import settings
from django.test import RequestFactory
from django.utils import timezone

from idp.models import Application, Connection, TenantSettings
from idp.tenants import configuration
from sessions_app.session import binding
from tests.support.factories import make_session, make_user

pytestmark = pytest.mark.django_db


def test_a_change_is_seen_by_the_next_snapshot_and_an_unchanged_one_is_reused():
    app = Application.objects.create(name="One", client_id="one")
    first = configuration.current()
    assert first.application("one").name == "One"
    assert configuration.current() is first
    app.name = "Two"
    app.save()
    assert configuration.current().application("one").name == "Two"


def test_an_unknown_application_is_asked_for_again():
    TenantSettings.objects.create(pk=1)
    snapshot = configuration.current()
    assert snapshot.application("nobody") is None


def test_the_connection_of_a_session_is_as_fresh_as_its_row():
    """It comes from the snapshot that the session's own SELECT names."""
    session = make_session(make_user())
    request = RequestFactory().get("/")
    request.COOKIES[settings.SSO_COOKIE_NAME] = session.raw_cookie
    now = timezone.now()

    assert binding.load(request, now).connection.enabled
    Connection.objects.filter(pk=session.connection_id).update(enabled=False)
    configuration.bump()  # as another process does with a change
    assert not binding.load(request, now).connection.enabled
    assert configuration.current().connection_by_pk(0) is None
