"""Sign-in and sign-out by WS-Federation, judged by a client that checks what ASP.NET Core's checks."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone
from lxml import etree

from idp.applications import rules
from idp.models import TenantSettings
from idp.protocol.assurance import MICROSOFT_MFA
from idp.saml.application.settings import CLAIMS
from logout_app.models import LogoutDelivery
from sessions_app.models import SessionClient
from sessions_app.saml import kept
from tests.protocol.wsfed_applications.conftest import CLEAN_UP, OUT, REALM, REPLY
from tests.support.dotnet_wsfed import AUTHENTICATION_METHOD, NAME_IDENTIFIER
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.saml_sp import Form, path_of
from tests.support.sign_in import csrf_client, sign_in_by_form

pytestmark = pytest.mark.django_db
PAGE = {
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "cross-site",
    "Accept": "text/html",
}
PASSWORD = "urn:oasis:names:tc:SAML:1.0:am:password"


def configure(application, **changes):
    application.wsfed = {**application.wsfed, **changes}
    application.save()


def goes(client, dotnet, **more):
    return client.get(path_of(dotnet.challenge(**more)))


def posted(response):
    form = Form.of(response)
    assert form.action == REPLY
    return form.fields


@pytest.mark.parametrize("token_type", ["saml11", "saml20"])
@pytest.mark.spec("WS-Federation 1.2", "13.2.1", "A sign-in is answered with a token that ASP.NET Core takes")
def test_somebody_who_is_signed_in_is_told_to_the_application_and_it_takes_part(intranet, dotnet, session, token_type):
    configure(intranet, tokenType=token_type)
    claims = dotnet.takes(posted(goes(browser(session), dotnet)), timezone.now())
    assert claims[NAME_IDENTIFIER] == [session.user.user_id]
    assert claims[CLAIMS + "emailaddress"] == ["mary@fabrikamcorp.com"]
    assert claims[CLAIMS + "upn"] == ["mary@fabrikamcorp.com"]
    assert SessionClient.objects.filter(session=session, application=intranet).exists()
    if token_type == "saml11":
        assert claims[AUTHENTICATION_METHOD] == [PASSWORD]


def test_a_changed_token_is_refused_by_that_client(dotnet, session):
    form = posted(goes(browser(session), dotnet))
    form["wresult"] = form["wresult"].replace("mary@fabrikamcorp.com", "ada@fabrikamcorp.com")
    with pytest.raises(AssertionError, match="SignatureKeyNotFound"):
        dotnet.takes(form, timezone.now())


def test_who_is_not_signed_in_signs_in_first_and_wctx_comes_back_with_its_escapes(dotnet, intranet):
    make_user()
    client = csrf_client()
    away = goes(client, dotnet)
    assert away.status_code == 303
    waiting = parse_qs(urlsplit(away["Location"]).query)["next"][0]
    assert intranet.name in client.get(away["Location"]).content.decode()
    sign_in_by_form(client, next=waiting)
    assert dotnet.takes(posted(client.get(waiting)), timezone.now())[NAME_IDENTIFIER]
    assert client.get(waiting.replace("/wsfed/", "/samlp/")).status_code == 404
    assert browser().get(waiting).status_code == 400


def test_what_another_release_sealed_is_begun_anew_and_no_fault(dotnet, intranet):
    make_user()
    client = csrf_client()
    waiting = parse_qs(urlsplit(goes(client, dotnet)["Location"]).query)["next"][0]
    facts = signing.loads(parse_qs(urlsplit(waiting).query)[kept.PARAMETER][0], salt="curfew.saml.request")
    for changed in ({name: facts[name] for name in facts if name != "protocol"}, {**facts, "later": 1}):
        sealed = signing.dumps(changed, salt="curfew.saml.request", compress=True)
        path = f"/wsfed/{intranet.client_id}?{kept.PARAMETER}={sealed}"
        assert client.get("/login", {"next": path}).status_code == 200
        answer = client.get(path)
        assert (answer.status_code, b"Start again at the application" in answer.content) == (400, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"wtrealm": "urn:other"}, "wtrealm is not the realm"),
        ({"wtrealm": ""}, "wtrealm is missing"),
        ({"wreply": "https://evil.example/"}, "not registered"),
        ({"wreply": f"{REPLY}?x=1"}, "not registered"),
        ({"wreply": f"{REPLY}/"}, "not registered"),
        ({"wa": "wattr1.0"}, "Only wsignin1.0 and wsignout1.0"),
        ({"wa": "wsignoutcleanup1.0"}, "Only wsignin1.0 and wsignout1.0"),
        ({"wreq": "<x/>"}, "wreq is not understood"),
        ({"wfresh": "-1"}, "wfresh is not a number"),
        ({"wfresh": "soon"}, "wfresh is not a number"),
        ({"wauth": "urn:kerberos"}, "no way here to what wauth asks"),
        ({"wctx": "x" * 5000}, "wctx is longer"),
    ],
)
def test_a_request_that_is_not_right_is_a_page_and_leads_nowhere(intranet, dotnet, session, changes, reason):
    answer = goes(browser(session), dotnet, **changes)
    assert answer.status_code == 400
    assert reason in answer.content.decode().replace("&#x27;", "'")
    assert "evil.example" not in answer.headers.get("Location", "")
    assert "wresult" not in answer.content.decode()
    assert not SessionClient.objects.exists()


def test_without_wreply_the_token_goes_to_the_first_callback_and_another_registered_one_may_be_asked_for(
    dotnet, session
):
    assert Form.of(goes(browser(session), dotnet, wreply="")).action == REPLY
    other = "https://intranet.example/_trust/"
    assert Form.of(goes(browser(session), dotnet, wreply=other)).action == other


@pytest.mark.parametrize(("wfresh", "asked"), [("0", True), ("5", True), ("60", False), ("", False)])
@pytest.mark.spec("WS-Federation 1.2", "13.2.1", "wfresh: how many minutes old the proof may be")
def test_wfresh_asks_for_a_proof_that_is_fresh(dotnet, wfresh, asked):
    session = make_session(make_user(), auth_time=timezone.now() - timedelta(minutes=10))
    answer = goes(browser(session), dotnet, wfresh=wfresh)
    assert (answer.status_code == 303 and answer["Location"].startswith("/login?")) is asked


def test_wauth_asks_for_two_factors_and_the_token_says_so(dotnet):
    user, now = make_user(), timezone.now().isoformat()
    alone = make_session(user)
    assert goes(browser(alone), dotnet, wauth=MICROSOFT_MFA).status_code in (303, 400)
    assert goes(browser(alone), dotnet, wauth=PASSWORD).status_code == 200
    both = make_session(user, amr=[{"name": name, "timestamp": now} for name in ("pwd", "otp", "mfa")])
    claims = dotnet.takes(posted(goes(browser(both), dotnet, wauth=MICROSOFT_MFA)), timezone.now())
    assert claims[AUTHENTICATION_METHOD] == [MICROSOFT_MFA]


def test_who_may_not_use_the_application_reads_so(intranet, dotnet, session):
    intranet.access_mode, intranet.access_groups = "groups", ["staff"]
    intranet.save()
    answer = goes(browser(session), dotnet)
    assert answer.status_code == 403
    assert "wresult" not in answer.content.decode()


def test_a_name_of_an_attribute_becomes_the_type_of_a_claim_whatever_its_form(intranet, dotnet, session):
    configure(intranet, mappings={"email": "mail", "name": "http://schemas.example/claims/display"})
    claims = dotnet.takes(posted(goes(browser(session), dotnet)), timezone.now())
    assert claims[CLAIMS + "mail"] == ["mary@fabrikamcorp.com"]
    assert "http://schemas.example/claims/display" in claims


def test_the_profile_ipsie_shortens_the_life_of_a_token(dotnet, session):
    TenantSettings.objects.update_or_create(defaults={"security_profile": "ipsie"})
    root = etree.fromstring(posted(goes(browser(session), dotnet))["wresult"])
    [conditions] = root.iter("{*}Conditions")
    assert root.findtext("{*}RequestedSecurityToken") is not None
    assert conditions.get("NotOnOrAfter") > conditions.get("NotBefore")


def test_sign_out_ends_the_session_and_its_page_cleans_up_in_a_frame(intranet, dotnet, session):
    client = browser(session)
    goes(client, dotnet)
    answer = client.get(path_of(dotnet.sign_out(OUT)), headers=PAGE)
    session.refresh_from_db()
    assert session.ended_at
    page = client.get(answer["Location"], headers=PAGE)
    assert f'data-frame="{CLEAN_UP}"' in page.content.decode()
    assert OUT in page.content.decode()
    assert LogoutDelivery.objects.get(application=intranet).channel == "frontchannel"


@pytest.mark.parametrize("wreply", [REPLY, OUT, ""])
def test_sign_out_leads_to_an_address_of_the_application(dotnet, intranet, wreply):
    answer = Client().get(f"/wsfed/{intranet.client_id}?wa=wsignout1.0&wreply={wreply}", headers=PAGE)
    assert answer["Location"] == (wreply or OUT)


@pytest.mark.parametrize("query", [f"wreply={CLEAN_UP}", "wreply=https://evil.example/", "wtrealm=urn:other"])
def test_a_sign_out_that_is_not_right_ends_nothing(intranet, session, query):
    answer = browser(session).get(f"/wsfed/{intranet.client_id}?wa=wsignout1.0&{query}", headers=PAGE)
    assert answer.status_code == 400
    session.refresh_from_db()
    assert session.ended_at is None


def test_an_image_of_another_site_signs_nobody_out(intranet, session):
    image = {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"}
    answer = browser(session).get(f"/wsfed/{intranet.client_id}?wa=wsignout1.0", headers=image)
    assert answer.status_code == 303 or "Sign out" in answer.content.decode()
    session.refresh_from_db()
    assert session.ended_at is None


def test_it_is_off_unless_it_is_set_and_a_connection_of_the_name_is_another_thing(session):
    make_application("Plain", client_id="plain")
    make_connection("Acme", "oidc")
    for name in ("plain", "Acme", "nobody"):
        for query in ("wa=wsignin1.0&wtrealm=x", "wa=wsignout1.0"):
            assert browser(session).get(f"/wsfed/{name}?{query}").status_code in (400, 404)
        path = f"/wsfed/{name}/FederationMetadata/2007-06/FederationMetadata.xml"
        assert browser().get(path).status_code == 404
    session.refresh_from_db()
    assert session.ended_at is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"wsfed": {"tokenType": "saml11"}}, "realm: it is missing"),
        ({"wsfed": {"realm": REALM, "wtrealm": "x"}}, "wtrealm: it is not known here"),
        ({"wsfed": {"realm": REALM, "tokenType": "jwt"}}, "tokenType: it must be one of saml11, saml20"),
        ({"wsfed": ["x"]}, "it must be an object"),
        ({"wsfed": {"realm": REALM}, "saml": {"audience": "x"}}, "can speak one of both"),
        ({"wsfed": {"realm": REALM}, "redirect_uris": ""}, "needs at least one: where its tokens go"),
        ({"wsfed": {"realm": REALM}, "frontchannel_logout_uri": "https://a.example/out"}, "add ?wa=wsignoutcleanup1.0"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said(db, fields, reason):
    row = make_application("Wiki", **{"grant_types": [], **fields})
    assert any(reason in str(problem) for problem in rules.problems(row))
    if "frontchannel_logout_uri" not in fields and "redirect_uris" not in fields:
        assert not row.usable.wsfed
