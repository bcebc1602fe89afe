"""How sure a sign-in is: classes that applications ask for, factors that are required, and the step-up to them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from idp.connections.contract import Account
from idp.directory import memberships
from idp.models import Application, Connection
from idp.tenants import configuration
from sessions_app.models import SSOSession
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.oauth import (
    answer_of,
    authorize,
    credentials,
    decode,
    exchange,
    post_form,
    refresh,
    token,
    tokens_for,
)
from tests.support.second_factors import give_all, proved_two
from tests.support.sign_in import session_of, sign_in_by_form
from tests.support.upstream import sign_in as sign_in_upstream

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_half_minute")]
CORE = "OpenID Connect Core 1.0"
UNMET = "OpenID Connect Core Error Code unmet_authentication_requirements 1.0"
PAPE = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"
SECRET = "JBSWY3DPEHPK3PXP"
ESSENTIAL = {"claims": json.dumps({"id_token": {"acr": {"essential": True, "values": ["multi-factor"]}}})}
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(autouse=True)
def _no_code_was_used() -> None:
    cache.clear()


def with_totp(session: SSOSession) -> SSOSession:
    data = {"secret": get_mfa_adapter().encrypt(SECRET)}
    Authenticator.objects.create(user=session.user, type=Authenticator.Type.TOTP, data=data)
    return session


def code(secret: str = SECRET) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, next(iter(totp.yield_hotp_counters_from_time()))))


def path_of(response: HttpResponse) -> str:
    return urlsplit(response.headers["Location"]).path


def follow(client: Client, response: HttpResponse) -> HttpResponse:
    return client.get(response.headers["Location"])


def next_in(response: HttpResponse) -> str:
    return parse_qs(urlsplit(response.headers["Location"]).query)["next"][0]


def prove(client: Client, response: HttpResponse) -> HttpResponse:
    """From the redirect to the step-up through the page that asks for the code, and back to /authorize."""
    asks = follow(client, response)
    assert path_of(asks) == "/account/mfa/reauthenticate/", asks.headers["Location"]
    page = follow(client, asks)
    assert "https://jwt-debugger.example" in page["Content-Security-Policy"]
    return client.post(asks.headers["Location"], {"code": code(), "next": next_in(asks)})


def require(where: str, app: Any) -> None:
    if where == "tenant":
        row = configuration.load_tenant()
    elif where == "application":
        row = app
    else:
        row = Connection.objects.get()
        row.options["require_mfa"] = True
    if where != "connection":
        row.require_mfa = True
    row.save()


@pytest.mark.parametrize("named", ["admins", {"connection": None, "name": "admins"}])
def test_a_group_may_need_a_second_factor_and_others_need_none(app, session, named):
    row = configuration.load_tenant()
    row.require_mfa_groups = [named]
    row.save()
    assert "code" in answer_of(authorize(session, app))
    memberships.add_person(memberships.group_of(None, "admins"), session.user, actor="admin:a", at=timezone.now())
    assert path_of(authorize(session, app)) == "/login/step-up"
    assert "code" in answer_of(authorize(proved_two(session), app))


@pytest.mark.spec(CORE, "5.5.1.1", "An essential acr is met by the second factor in the same session")
@pytest.mark.parametrize("wish", [{"acr_values": "multi-factor"}, ESSENTIAL], ids=["acr_values", "essential"])
def test_the_second_factor_is_proved_in_the_same_session(app, session, wish):
    client = browser(with_totp(session))
    onward = prove(client, authorize(client, app, **wish))
    assert path_of(onward) == "/authorize"
    answer = exchange(app, answer_of(follow(client, onward))["code"]).json()
    claims = decode(answer["id_token"])
    assert (claims["acr"], claims["sid"]) == ("multi-factor", session.sid)
    assert {"pwd", "mfa", "otp"} <= set(claims["amr"])
    assert decode(refresh(app, answer["refresh_token"]).json()["id_token"])["acr"] == "multi-factor"


@pytest.mark.parametrize("name", ["2", "multi-factor", PAPE, "https://refeds.org/profile/mfa"])
def test_acr_is_said_by_the_name_that_was_asked_for(app, session, name):
    assert decode(tokens_for(proved_two(session), app, acr_values=f"unknown {name}")["id_token"])["acr"] == name
    assert decode(tokens_for(session, app)["id_token"])["acr"] == "2"


def test_a_class_that_was_reached_asks_for_nothing(app, session):
    assert "code" in answer_of(authorize(proved_two(session), app, **ESSENTIAL))
    assert "code" in answer_of(authorize(session, app, acr_values="1"))
    assert "code" in answer_of(authorize(session, app, claims='{"id_token": {"acr": {"essential": true}}}'))


@pytest.mark.spec(UNMET, "3", "A silent request that would need a step-up is told so")
@pytest.mark.parametrize("wish", [{"acr_values": "2"}, ESSENTIAL], ids=["acr_values", "essential"])
def test_a_silent_request_hears_that_the_requirements_are_not_met(app, session, wish):
    answer = answer_of(authorize(with_totp(session), app, prompt="none", **wish))
    assert answer["error"] == "unmet_authentication_requirements"
    assert answer["state"] == "the-state"


@pytest.mark.spec(CORE, "3.1.2.1", "acr_values are a wish in order of preference")
def test_a_silent_request_takes_the_next_best_that_it_named(app, session):
    asked = authorize(with_totp(session), app, prompt="none", acr_values="2 1")
    assert decode(exchange(app, answer_of(asked)["code"]).json()["id_token"])["acr"] == "1"


def test_a_wish_of_somebody_without_a_second_factor_is_no_reason_to_fail(app, session):
    assert decode(tokens_for(session, app, acr_values="2")["id_token"])["acr"] == "1"


def test_names_that_nobody_knows_are_no_wish(app, session):
    assert "code" in answer_of(authorize(session, app, acr_values="urn:mace:incommon:iap:silver", prompt="none"))


@pytest.mark.parametrize("where", ["tenant", "application", "connection"])
def test_a_required_second_factor_is_asked_for_before_anything_is_issued(app, session, where):
    require(where, app)
    client = browser(with_totp(session))
    response = authorize(client, app)
    assert path_of(response) == "/login/step-up"
    assert "code" in answer_of(follow(client, prove(client, response)))
    silent = answer_of(authorize(make_session(make_user("bob@fabrikamcorp.com")), app, prompt="none"))
    assert silent["error"] == "interaction_required"


def test_a_password_alone_gets_no_code_where_a_second_factor_is_required(app):
    """Not with the write of the sign-in either."""
    require("application", app)
    make_user()
    client = Client()
    back = next_in(authorize(client, app))
    response = sign_in_by_form(client, next=back)
    assert path_of(response) == "/authorize"
    assert path_of(follow(client, response)) == "/login/step-up"


def test_prompt_login_and_a_step_up_ask_once_each(app, session):
    client = browser(with_totp(session))
    back = next_in(authorize(client, app, prompt="login", **ESSENTIAL))
    SSOSession.objects.update(auth_time=timezone.now())  # as the login page would
    assert "code" in answer_of(follow(client, prove(client, client.get(back))))


def test_a_security_key_is_asked_for_by_its_own_page(app, session):
    give_all(session.user)
    Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).delete()
    SSOSession.objects.update(ended_at=None, end_initiator="")  # losing a factor ends sessions
    client = browser(session)
    assert path_of(follow(client, authorize(client, app, **ESSENTIAL))) == "/account/mfa/webauthn/reauthenticate/"


def test_who_has_no_second_factor_sets_one_up_and_comes_back(app, session):
    client = browser(session)
    page = follow(client, authorize(client, app, **ESSENTIAL))
    assert "JWT Debugger" in page.content.decode()
    path = "/account/mfa/totp/activate/"
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": path})
    secret = client.get(path).context["form"].secret
    assert client.post(path, {"code": "000000"}).status_code == 200
    done = client.post(path, {"code": code(secret)})
    assert done.headers["Location"] == "/account/mfa/ready/"
    onward = follow(client, done).context["onward"]
    claims = decode(exchange(app, answer_of(client.get(onward))["code"]).json()["id_token"])
    assert (claims["acr"], claims["sid"]) == ("multi-factor", session.sid)


def test_a_session_older_than_the_factor_changes_none_before_it_is_proved(session):
    """Whoever stole the password before its owner set up a factor is still in, and can prove the password."""
    client, pages = browser(session), ("totp/deactivate/", "webauthn/add/", "recovery-codes/generate/")
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": "/account/mfa/"})
    totp.TOTP.activate(session.user, totp.generate_totp_secret())
    for page in pages:
        for ask in (client.get, client.post):
            assert ask(f"/account/mfa/{page}")["Location"].startswith("/login/step-up"), page
    assert Authenticator.objects.filter(user=session.user).count() == 1


def test_setting_one_up_for_nobody_in_particular_is_as_before(session):
    client, path = browser(session), "/account/mfa/totp/activate/"
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": path})
    secret = client.get(path).context["form"].secret
    assert client.post(path, {"code": code(secret)}).headers["Location"].startswith("/account/mfa/")
    assert client.get("/account/mfa/recovery-codes/").status_code == 200  # it was proved a moment ago
    assert client.get("/account/mfa/ready/").context["onward"] == "/"


def test_who_does_not_want_to_goes_back_and_the_application_hears_why(app, session):
    client = browser(session)
    page = follow(client, authorize(client, app, **ESSENTIAL))
    answer = answer_of(client.get(page.context["back"]))
    assert answer["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example/", "/oauth/token", ""])
def test_a_step_up_leads_to_our_own_pages_only(session, where):
    assert browser(proved_two(session)).get("/login/step-up", {"next": where}).headers["Location"] == "/"


def test_two_factors_upstream_count_where_the_connection_trusts_them(app, acme):
    acme.account = Account(sub="00u1", email="mary@acme.example", has_proved_several=True)
    client = Client()
    sign_in_upstream(client)
    session = session_of(client)
    assert session is not None
    assert [method["name"] for method in session.amr] == ["federated", "mfa"]
    assert "code" in answer_of(authorize(client, app, **ESSENTIAL))


def test_a_sign_in_upstream_alone_is_one_factor(app, acme):
    client = Client()
    sign_in_upstream(client)
    assert path_of(authorize(client, app, **ESSENTIAL)) == "/login/step-up"


def test_a_registered_default_counts_where_the_request_says_nothing(session):
    app = make_application(default_acr_values=["multi-factor"])
    with_totp(session)
    assert path_of(authorize(session, app)) == "/login/step-up"
    assert "code" in answer_of(authorize(session, app, acr_values="1"))


def test_a_device_gets_nothing_from_somebody_without_the_second_factor(session):
    cli = make_application("CLI", token_endpoint_auth_method="none", grant_types=[DEVICE], require_mfa=True)
    started = post_form("/oauth/device/code", {**credentials(cli), "scope": "openid"}).json()
    typed = {"user_code": started["user_code"], "answer": "allow"}
    response = browser(session).post("/activate", typed)
    assert path_of(response) == "/login/step-up"
    assert next_in(response).startswith("/activate?user_code=")
    polled = token(cli, grant_type=DEVICE, device_code=started["device_code"])
    assert polled.json()["error"] == "authorization_pending"
    assert "is connected" in browser(proved_two(session)).post("/activate", typed).content.decode()


def test_the_admin_wants_what_the_tenant_wants():
    boss = make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True))
    assert browser(boss).get("/admin/").status_code == 200
    require("tenant", None)
    for response in (browser(boss).get("/admin/?a=b"), browser(boss).post("/admin/idp/user/add/")):
        assert path_of(response) == "/login/step-up"
        assert next_in(response).startswith("/admin/")
    for open_to_them in ("/account/mfa/", "/account/sessions"):
        assert browser(boss).get(open_to_them).status_code == 200
    assert browser(proved_two(boss)).get("/admin/").status_code == 200


def test_a_tenant_file_says_it_in_the_same_names(tmp_path):
    file = tmp_path / "tenant.yaml"
    file.write_text(
        """
tenant: {require_mfa: true}
connections:
  - {name: FabrikamAD, strategy: auth0, options: {require_mfa: true}}
clients:
  - name: Grafana
    callbacks: [https://grafana.example/login]
    session_expiry: false
    require_mfa: true
    default_acr_values: [multi-factor]
"""
    )
    call_command("apply", str(file))
    grafana = Application.objects.get(name="Grafana")
    assert (grafana.session_expiry, grafana.require_mfa, grafana.default_acr_values) == (False, True, ["multi-factor"])
    assert configuration.load_tenant().require_mfa
    assert Connection.objects.get().options["require_mfa"] is True
    file.write_text(file.read_text().replace("[multi-factor]", "[phrh]"))
    with pytest.raises(CommandError, match=r"default_acr_values\[0\]: it must be one of"):
        call_command("apply", str(file))
