"""What a stranger sends comes back, and is kept, up to a limit only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.db import models
from django.test import Client

from idp.protocol.params import LONGEST_STATE
from logout_app.protocol import rp_initiated_logout
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import request_params

pytestmark = [pytest.mark.django_db, pytest.mark.once]
FORM = "application/x-www-form-urlencoded"
LONG = "Z" * 900_000
REFLECTED = 3 * LONGEST_STATE  # characters: the longest state, and room for what a page escapes
# Our own pages, which show again what was typed into them; the pages of others' requests are below.
PAGES = {
    "/login": ("username", "password", "next", "only", "choose", "connection", "credential", "passkeys"),
    "/account/password/reset/": ("email",),
    "/account/mfa/authenticate/": ("code", "credential"),
    "/account/mfa/reauthenticate/": ("code",),
    "/account/mfa/totp/activate/": ("code",),
    "/account/mfa/webauthn/add/": ("name", "credential"),
    "/account/passkeys/add/": ("name", "credential"),
    "/account/passkeys/offer/": ("next", "credential"),
    "/account/reauthenticate/": ("password",),
    "/account/password/change/": ("oldpassword", "password1"),
    "/account/sessions": ("act", "sid", "family"),
    "/activate": ("user_code", "answer"),
    "/authorize/consent": ("request", "answer"),
    "/oidc/logout/confirm": ("question", "logout"),
    "/logout": ("next",),
}
PROGRAMS = {
    "/oauth/token": ("grant_type", "code", "client_id", "client_secret", "redirect_uri", "scope", "audience"),
    "/oauth/device/code": ("client_id", "scope", "audience"),
    "/oauth/revoke": ("token", "client_id"),
    "/oidc/register": ("client_name",),
    "/login/callback": ("state", "error", "error_description", "code", "iss"),
    "/login/callback/partner": ("RelayState", "SAMLResponse"),
    "/samlp/partner/slo": ("RelayState", "SAMLRequest", "SAMLResponse"),
    "/backchannel-logout/partner": ("logout_token",),
}
AUTHORIZE = (
    *("state", "nonce", "scope", "login_hint", "acr_values", "ui_locales", "claims", "code_challenge", "connection"),
    *("audience", "id_token_hint", "request", "response_mode", "prompt", "curfew_request", "curfew_marker", "invented"),
)


def longest_run(response) -> int:
    """Of the letter that was sent, wherever it came back."""
    heads = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
    cookies = "".join(morsel.output() for morsel in response.cookies.values())
    text = f"{heads}{cookies}{response.content.decode()}"
    return max((len(found) for found in re.findall("Z+", text)), default=0)


def kept() -> Iterator[tuple[str, int]]:
    """The longest run that the rows of each table hold."""
    for model in apps.get_models():
        kinds = models.TextField | models.CharField | models.JSONField
        names = [field.attname for field in model._meta.concrete_fields if isinstance(field, kinds)]
        for row in model._base_manager.values_list(*names) if names else ():
            yield model._meta.label, max((len(found) for found in re.findall("Z+", repr(row))), default=0)


def assert_within_limits(response) -> None:
    assert response.status_code < 500
    assert longest_run(response) <= REFLECTED
    assert not [label for label, run in kept() if run > REFLECTED]


@pytest.fixture(params=[False, True], ids=["anonymous", "signed in"])
def client(request):
    user = make_user()
    return browser(make_session(user)) if request.param else Client()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_ours_shows_nothing_again_that_nobody_types(client, path):
    for name in PAGES[path]:
        assert_within_limits(client.post(path, urlencode({name: LONG}), FORM))


@pytest.mark.parametrize("path", PROGRAMS)
def test_what_programs_and_upstreams_post_is_not_repeated(client, path):
    make_connection("partner", "samlp", options={"signInEndpoint": "https://idp.example/sso"})
    headers = {"Sec-Fetch-Site": "same-origin"}
    for name in PROGRAMS[path]:
        assert_within_limits(client.post(path, urlencode({name: LONG}), FORM, headers=headers))


@pytest.mark.parametrize("name", AUTHORIZE)
@pytest.mark.parametrize("site", ["cross-site", "same-origin"])
def test_an_authorization_request_is_neither_kept_nor_posted_again(client, app, name, site):
    body = urlencode(request_params(app, **{name: LONG}))
    assert_within_limits(client.post("/authorize", body, FORM, headers={"Sec-Fetch-Site": site}))


@pytest.mark.parametrize("name", rp_initiated_logout.PARAMETERS)
@pytest.mark.parametrize("site", ["cross-site", "same-origin"])
def test_a_logout_request_with_too_long_a_parameter_ends_nothing_and_is_not_posted_again(client, name, site):
    app = make_application("LogoutSubject", post_logout_redirect_uris="https://leaver.example/out")
    good = {"client_id": app.client_id, "post_logout_redirect_uri": "https://leaver.example/out"}
    response = client.post("/oidc/logout", urlencode(good | {name: LONG}), FORM, headers={"Sec-Fetch-Site": site})
    assert response.status_code == 400
    assert_within_limits(response)
    if name != "federated":
        assert f"The parameter {name} is longer than" in response.content.decode()


def test_the_longest_state_comes_back_from_a_logout():
    app = make_application("LogoutSubject", post_logout_redirect_uris="https://leaver.example/out")
    good = {"client_id": app.client_id, "post_logout_redirect_uri": "https://leaver.example/out"}
    state = "Z" * LONGEST_STATE
    answer = Client().post("/oidc/logout", urlencode(good | {"state": state}), FORM)
    assert answer["Location"].endswith(f"?state={state}")
