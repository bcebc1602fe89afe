"""Sign-in to an application that speaks SAML, judged by python3-saml as the application."""

from __future__ import annotations

import pytest

from sessions_app.models import SamlSubject, SessionClient
from tests.support.factories import browser, make_session, make_user
from tests.support.saml_sp import Form, ServiceProvider, status_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def sp():
    provider = ServiceProvider()
    provider.application = provider.register()
    provider.knows(provider.application)
    return provider


def test_somebody_who_is_signed_in_is_told_to_the_application_and_it_takes_part(sp, session):
    auth = sp.takes(browser(session).get(sp.asks()))
    assert auth.get_nameid() == session.user.user_id
    assert SessionClient.objects.filter(session=session, application=sp.application).exists()
    subject = SamlSubject.objects.get()
    assert auth.get_session_index() == subject.session_index != session.sid
