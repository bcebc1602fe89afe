"""When the database is away nothing claims to have happened (fault F-P03)."""

import pytest
from django.db import OperationalError

from logout_app.ending import end
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(end, "_end_statement", fail)


@pytest.mark.usefixtures("broken")
def test_a_sign_out_that_did_not_happen_says_so_and_keeps_the_cookie(settings):
    app = make_application()
    client = browser(make_session(make_user(), app), raise_request_exception=False)
    query = {"client_id": app.client_id, "returnTo": app.allowed_logout_urls[0]}
    response = client.get("/v2/logout", query, headers={"accept": "text/html"})
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "not signed out" in response.content.decode()
    assert settings.SSO_COOKIE_NAME not in response.cookies


@pytest.mark.usefixtures("broken")
def test_a_program_gets_the_same_as_json():
    app = make_application()
    client = browser(make_session(make_user(), app), raise_request_exception=False)
    response = client.get("/v2/logout", {"client_id": app.client_id, "returnTo": app.allowed_logout_urls[0]})
    assert response.status_code == 503
    assert response.json()["error"] == "temporarily_unavailable"


def test_another_mistake_of_ours_is_a_500_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(end, "_end_statement", lambda *_, **__: 1 / 0)
    app = make_application()
    client = browser(make_session(make_user(), app), raise_request_exception=False)
    query = {"client_id": app.client_id, "returnTo": app.allowed_logout_urls[0]}
    response = client.get("/v2/logout", query, headers={"accept": "text/html"})
    assert response.status_code == 500
    assert "ZeroDivision" not in response.content.decode()
