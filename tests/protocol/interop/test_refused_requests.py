"""Requests that we refuse, answered where their client waits for the answer."""

from __future__ import annotations

import base64
import html
import json

import pytest

from tests.support.factories import make_application
from tests.support.oauth import answer_of, authorize, next_of, tokens_for

pytestmark = [pytest.mark.django_db, pytest.mark.once]
CORE = "OpenID Connect Core 1.0"


def request_object(**claims) -> str:
    """Unsigned, which is as good as any here."""
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return f"{encoded[0]}.{encoded[1]}."


@pytest.mark.spec(CORE, "6", "A request object that is not supported is refused with request_not_supported")
def test_a_refused_request_object_is_answered_by_its_own_response_mode(app):
    page = authorize(None, app, request=request_object(response_mode="form_post", state="inside"), state=None)
    assert page.status_code == 200
    fields = html.unescape(page.content.decode())
    assert 'name="error" value="request_not_supported"' in fields
    assert 'name="state" value="inside"' in fields
    assert f'action="{app.callbacks[0]}"' in fields
    fragment = authorize(None, app, request=request_object(response_mode="fragment"))
    assert fragment["Location"].startswith(f"{app.callbacks[0]}#error=request_not_supported")
    assert answer_of(fragment)["state"] == "the-state"


@pytest.mark.parametrize(
    "odd", ["", "x", "a.b", "a.b.c", "..", request_object(response_mode=7), request_object(), "é.é.é"]
)
def test_one_that_cannot_be_read_is_answered_as_the_query_says(app, odd):
    answer = authorize(None, app, request=odd or "0", response_mode="fragment")
    assert answer["Location"].startswith(f"{app.callbacks[0]}#error=request_not_supported")


@pytest.mark.parametrize(
    "claims", [{"redirect_uri": "https://evil.example/"}, {"client_id": "another"}, {"response_mode": "web_message"}]
)
def test_where_the_answer_goes_is_never_read_from_it(app, claims):
    response = authorize(None, app, request=request_object(**claims))
    if "response_mode" in claims:
        assert response.status_code == 400, "a message to an origin that is not registered"
    else:
        assert response["Location"].startswith(f"{app.callbacks[0]}?error=request_not_supported")


def test_a_state_in_it_is_given_back_up_to_the_same_limit(app):
    answer = answer_of(authorize(None, app, request=request_object(state="x" * 9000), state=None))
    assert "state" not in answer


@pytest.mark.spec(CORE, "5.5.1.1", "An essential acr that cannot be met is a failed attempt")
@pytest.mark.parametrize("place", ["id_token", "userinfo"])
@pytest.mark.parametrize("wanted", [{"value": "phrh"}, {"values": ["urn:mace:incommon:iap:silver", "phr"]}])
def test_an_essential_acr_that_nobody_can_reach_is_refused_and_not_ignored(app, session, place, wanted):
    for who in (session, None):
        answer = answer_of(authorize(who, app, claims=json.dumps({place: {"acr": {"essential": True, **wanted}}})))
        assert answer["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize("values", ["2", [2], [["2"]], {"2": 1}])
def test_values_of_acr_that_are_no_texts_are_a_mistake(app, session, values):
    asked = json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})
    assert answer_of(authorize(session, app, claims=asked))["error"] == "invalid_request"


@pytest.mark.parametrize("wanted", [None, {"essential": False}, {"values": ["2"]}])
def test_a_voluntary_acr_is_as_before(session, wanted):
    app = make_application()
    assert tokens_for(session, app, claims=json.dumps({"id_token": {"acr": wanted}}))["id_token"]
    assert next_of(authorize(None, app, claims=json.dumps({"id_token": {"acr": wanted}})))
