"""The recipes of docs/shared-signals.md, followed step by step at our pages and endpoints, against stand-ins of whom they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.models import Role
from idp.people import accounts
from idp.tenants import apply as tenant
from logout_app.models import EventStream, LogoutDelivery
from logout_app.protocol.retry import Outcome
from tests.support.event_streams import PUSHED_TO, fed, sent
from tests.support.factories import browser, make_session, make_user
from tests.support.sign_in import csrf_client, sign_in_by_form
from tests.support.upstreams import signal_receivers as receivers
from tests.support.upstreams.signal_receivers import AT_APPLE, AppleBusinessManager, GoogleWorkspace, OktaOrg

pytestmark = [pytest.mark.once, pytest.mark.django_db]
RECIPES = (Path(__file__).parents[3] / "docs" / "shared-signals.md").read_text()
ISSUER = "http://localhost:8000/"
STEPS_1_AND_2 = f"""
clients:
  - client_id: apple
    name: Apple Business Manager
    client_secret: a-secret-for-apple-of-enough-length-0123
    app_type: regular_web
    token_endpoint_auth_method: client_secret_post
    grant_types: [authorization_code, refresh_token]
    callbacks: [{AT_APPLE}]
clientGrants:
  - {{client_id: apple, audience: "{ISSUER}ssf/", scope: [ssf.read, ssf.manage]}}
roles:
  - {{name: Apple, permissions: [{{resource_server_identifier: "{ISSUER}ssf/", permission_name: ssf.manage}}]}}
connections: [{{name: FabrikamAD, strategy: auth0}}]
users:
  - connection: FabrikamAD
    email: boss@fabrikamcorp.com
    password: correct horse battery staple
    given_name: Bo
    family_name: Ss
    roles: [Apple]
"""


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def apple(tmp_path: Path) -> AppleBusinessManager:
    """After steps 1 to 3, with the administrator signed in there."""
    path = tmp_path / "tenant.yaml"
    path.write_text(STEPS_1_AND_2)
    tenant.apply(path, at=timezone.now())
    pasted = ("ssf-configuration", "openid-configuration")
    assert all(f"https://id.example.com/.well-known/{name}" in RECIPES for name in pasted)
    assert {AT_APPLE, "openid profile email ssf.manage ssf.read offline_access"} <= set(RECIPES.split("`"))
    apple = AppleBusinessManager(
        {
            "client_id": "apple",
            "client_secret": "a-secret-for-apple-of-enough-length-0123",
            "ssf_config": f"{ISSUER}.well-known/ssf-configuration",
            "openid_config": f"{ISSUER}.well-known/openid-configuration",
        },
        csrf_client(),
    )
    asked = apple.authorization()
    first = apple.browser.get(asked)
    assert first.headers["Location"].startswith("/login"), "nobody is signed in"
    answer = sign_in_by_form(apple.browser, "boss@fabrikamcorp.com", "correct horse battery staple", next=asked)
    while not answer.headers["Location"].startswith("https:"):
        answer = apple.browser.get(answer.headers["Location"])
    assert apple.came_back(answer.headers["Location"])["email"] == "boss@fabrikamcorp.com"
    return apple


def took(apple: AppleBusinessManager) -> list[str]:
    fed()
    return [apple.take(*each) for each in sent()]


def test_apple_business_manager_signs_in_makes_its_stream_and_hears_of_managed_accounts(apple):
    assert apple.connect(PUSHED_TO).status_code == 201
    assert took(apple) == ["verification"], "without being asked: Apple takes the connection back otherwise"
    mary = make_user("mary@fabrikamcorp.com")
    browser(make_session(mary)).get("/v2/logout", headers={"sec-fetch-dest": "document"})
    accounts.set_password(mary, "another correct horse", actor="user")
    assert set(took(apple)) == {"session-revoked", "credential-change"}
    assert {"email": mary.email} in apple.heard.values()
    where = apple.signals["configuration_endpoint"]
    assert apple.manage("GET", where, stream_id=apple.stream["stream_id"]).json() == apple.stream
    assert apple.connect(PUSHED_TO).status_code == 409, "it has one"


def test_apple_goes_on_by_its_refresh_token_and_ends_with_the_role(apple):
    assert apple.connect(PUSHED_TO).status_code == 201
    took(apple)
    before = apple.tokens["access_token"]
    apple.refresh()
    assert apple.tokens["access_token"] != before
    wanted = {"stream_id": apple.stream["stream_id"], "state": "is anybody there"}
    assert apple.manage("POST", apple.signals["verification_endpoint"], wanted).status_code == 204
    assert took(apple) == ["verification"]
    assert {"state": "is anybody there"} in apple.heard.values()
    status = {"stream_id": apple.stream["stream_id"], "status": "enabled"}
    assert apple.manage("POST", apple.signals["status_endpoint"], status).json()["status"] == "enabled"
    Role.objects.get().people.clear()
    assert apple.manage("POST", apple.signals["status_endpoint"], status).status_code == 403
    assert EventStream.objects.get().status == "enabled", "others may go on to read it"


def add_by_preset(preset: str, endpoint: str, header: str) -> EventStream:
    """*Add Shared Signals stream* in the console, with what the recipe says to fill in."""
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    form = {"name": preset, "preset": preset, "endpoint": endpoint, "authorization_header": header}
    form |= {"algorithm": "RS256", "subject_format": "iss_sub", "subject_place": "sub_id"}
    answer = browser(make_session(boss)).post(reverse("admin:logout_app_outgoingstream_add"), form)
    assert answer.status_code == 302, answer.content
    return EventStream.objects.get()


def well_known() -> dict[str, Any]:
    return Client().get("/.well-known/ssf-configuration").json()


def leave(email: str) -> None:
    browser(make_session(make_user(email))).get("/v2/logout", headers={"sec-fetch-dest": "document"})


def test_google_workspace_signs_out_whom_we_name():
    assert "preset *Google Workspace*" in RECIPES
    assert receivers.GOOGLE in RECIPES
    row = add_by_preset("google", "http://127.0.0.1:18009/google", "Bearer of-google")
    google = GoogleWorkspace(well_known()["jwks_uri"], well_known()["issuer"], "Bearer of-google")
    act = reverse("admin:logout_app_outgoingstream_act", args=(row.pk, "verify"))
    browser(make_session(make_user("op@fabrikamcorp.com", is_staff=True, is_superuser=True))).post(act)
    leave("mary@fabrikamcorp.com")
    for _ in range(2):  # the verification, and what happened since
        fed()
        for each in sent():
            google.take(*each)
    assert google.signed_out == ["mary@fabrikamcorp.com"]


def test_okta_takes_what_it_knows_and_nothing_twice():
    assert "preset *Okta*" in RECIPES
    assert "/security/api/v1/security-events" in RECIPES
    org = "http://127.0.0.1:18009"
    add_by_preset("okta", f"{org}/security/api/v1/security-events", "")
    okta = OktaOrg(
        org, well_known()["jwks_uri"], well_known()["issuer"], {"mary@fabrikamcorp.com"}
    )  # step 1: what it reads
    leave("mary@fabrikamcorp.com")
    leave("nobody@fabrikamcorp.com")
    fed()
    answers = [okta.take(*each) for each in sent(Outcome.RETRY)]  # the first answer was lost
    LogoutDelivery.objects.filter(state="pending").update(due_at=timezone.now(), lease_until=None)
    answers += [okta.take(*each) for each in sent()]
    assert set(answers) == {202}
    assert okta.at_risk == ["mary@fabrikamcorp.com"]
