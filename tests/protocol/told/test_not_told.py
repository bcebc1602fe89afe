"""Who is not told of an end, and why: a fact of the moment of the end (promises of the pages, SECURITY.md)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.http.requests import facts
from idp.models import Application
from idp.people import accounts
from idp.protocol.initiators import EVERY, Initiator
from logout_app.admin.overview import overview
from logout_app.admin.timeline import timeline
from logout_app.delivery import redeliver
from logout_app.delivery.channels.base import Occasion
from logout_app.delivery.channels.planning import why_not_told
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryState, LogoutDelivery
from logout_app.protocol import silence
from sessions_app.models import SSOSession
from sessions_app.session import lifecycle
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}
BC = "https://wiki.example/bc"


@pytest.fixture
def boss() -> Any:
    return make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)


@pytest.fixture
def admin(boss: Any) -> Client:
    return browser(make_session(boss))


def end(selection: Selection, initiator: Initiator = Initiator.RP_LOGOUT, **how: Any) -> Any:
    return end_sessions(
        selection, initiator=initiator, actor="user", at=timezone.now(), **{"offline_tokens": False, **how}
    )


def titles(session: SSOSession) -> list[str]:
    session.refresh_from_db()
    return [entry.title for entry in timeline(session)]


def every_kind() -> list[Application]:
    """One application of each combination of what counts."""
    names = itertools.count()
    return [
        make_application(
            f"App {next(names)}",
            enabled=enabled,
            backchannel_logout_uri=back,
            frontchannel_logout_uri=front,
            global_token_revocation_uri=gtr,
            backchannel_logout_initiators_mode=mode,
            backchannel_logout_initiators=["rp-logout"],
            saml=saml,
        )
        for enabled, back, front, gtr, mode, saml in itertools.product(
            [True, False],
            ["", "https://a.example/bc"],
            ["", "https://a.example/fc"],
            ["", "https://a.example/gtr"],
            ["all", "custom"],
            [
                {},
                by_saml(url="https://a.example/slo"),
                by_saml(url="https://a.example/slo", soap="https://a.example/soap"),
            ],
        )
    ]


def by_saml(**logout: str) -> dict[str, Any]:
    return {"audience": "https://a.example/saml", "logout": logout}


@pytest.mark.parametrize("page", [True, False])
@pytest.mark.parametrize("whole_user", [True, False])
@pytest.mark.parametrize("initiator", [Initiator.RP_LOGOUT, Initiator.SESSION_REVOKED])
def test_the_statement_that_ends_says_of_each_application_what_the_rule_says(
    page: bool, whole_user: bool, initiator: Initiator
) -> None:
    applications = every_kind()
    session = make_session(make_user(), *applications)
    selection = Selection.user(session.user_id) if whole_user else Selection.session(session.pk)
    ended = end(selection, initiator, offline_tokens=whole_user, page=session.pk if page else None)
    rows = list(LogoutDelivery.objects.filter(event=ended.event))
    for application in applications:
        mine = [row for row in rows if row.application_id == application.pk]
        reason = why_not_told(application, initiator, Occasion(page, whole_user))
        if reason:
            assert [(row.channel, row.state, row.last_reason) for row in mine] == [("none", "not_told", reason)]
            assert mine[0].finished_at is not None
        else:
            assert mine
            assert {row.state for row in mine} == {"pending"}
    assert ended.told.deliveries == sum(row.state == "pending" for row in rows)


def test_an_application_that_is_made_here_hears_of_everything() -> None:
    application = make_application("Wiki", backchannel_logout_uri=BC)
    assert application.deaf_to == []
    assert Application().backchannel_logout_initiators == list(EVERY)


def test_an_application_made_in_the_admin_with_what_the_form_offers_is_told_of_a_block(admin: Client) -> None:
    form = admin.get(reverse("admin:idp_application_add"), {"kind": "all"}).context["adminform"].form
    data = {field.html_name: field.value() for field in form if field.value() not in (None, False, "")}
    data |= {"name": "Wiki", "redirect_uris": "https://wiki.example/cb", "backchannel_logout_uri": BC}
    assert admin.post(reverse("admin:idp_application_add"), data).status_code == 200
    mary = make_user()
    make_session(mary, Application.objects.get())
    accounts.block_user(mary, actor="admin:1", at=timezone.now())
    assert LogoutDelivery.objects.get().state == DeliveryState.PENDING


def test_the_timeline_keeps_saying_why_when_the_application_is_changed_afterwards() -> None:
    wiki, heard = make_application("Wiki"), make_application("Heard", backchannel_logout_uri=BC)
    session = make_session(make_user(), wiki, heard)
    end(Selection.session(session.pk))
    wiki.backchannel_logout_uri = BC
    wiki.save()
    assert "Wiki: not told, because it has no logout URL" in titles(session)
    assert "Heard: Waiting" in titles(session)


def test_the_timeline_names_an_application_that_was_deleted_before_the_session_ended(rf: Any) -> None:
    gone, later = make_application("Gone", client_id="gone"), make_application("Later", backchannel_logout_uri=BC)
    session = make_session(make_user())
    for application in (gone, later):
        lifecycle.join(session, application, facts=facts(rf.get("/")), at=timezone.now())
    gone.delete()
    end(Selection.session(session.pk))
    later.delete()  # after the end: its row stays
    said = titles(session)
    assert f"gone: not told, because {silence.DELETED}" in said
    assert not any(title.startswith("later: not told") for title in said)


def test_the_timeline_shows_the_revocation_request_of_an_application_that_has_nothing_else() -> None:
    vault = make_application("Vault", global_token_revocation_uri="https://vault.example/gtr")
    session = make_session(make_user(), vault)
    end(Selection.user(session.user_id), Initiator.SESSION_REVOKED, offline_tokens=True)
    assert "Vault: Waiting" in titles(session)
    assert not LogoutDelivery.objects.filter(state="not_told").exists()


def test_the_start_page_counts_who_was_not_told_today_and_leads_to_them(boss: Any, admin: Client) -> None:
    session = make_session(make_user(), make_application("Wiki"), make_application("Mail"))
    end(Selection.session(session.pk))
    lines = [item for item in overview(boss, timezone.now()).attention if "not told" in item.text]
    assert [item.text for item in lines] == [
        "2 applications were not told of a sign-out today: Mail, Wiki. People may still be signed in there."
    ]
    listed = admin.get(lines[0].url)
    assert listed.status_code == 200
    assert {row.client_id for row in listed.context["cl"].result_list} == {"mail", "wiki"}
    assert "Not told" in listed.content.decode()


def test_the_start_page_is_silent_when_everybody_was_told(boss: Any) -> None:
    end(Selection.session(make_session(make_user(), make_application("Wiki", backchannel_logout_uri=BC)).pk))
    assert not [item for item in overview(boss, timezone.now()).attention if "not told" in item.text]


def test_what_was_not_told_is_never_sent_again() -> None:
    session = make_session(make_user(), make_application("Wiki"))
    end(Selection.session(session.pk))
    row = LogoutDelivery.objects.get()
    assert redeliver.deliveries([row.pk], at=timezone.now()) == 0
    row.refresh_from_db()
    assert row.state == DeliveryState.NOT_TOLD


def test_a_disabled_application_is_neither_framed_nor_posted_to() -> None:
    off = make_application(
        "Off",
        enabled=False,
        backchannel_logout_uri="https://off.example/bc",
        frontchannel_logout_uri="https://off.example/fc",
        global_token_revocation_uri="https://off.example/gtr",
    )
    on = make_application("On", client_id="on", frontchannel_logout_uri="https://on.example/fc")
    client = browser(make_session(make_user(), off, on))
    page = client.get(client.get("/v2/logout", headers=PAGE_VISIT)["Location"]).content.decode()
    assert "https://on.example/fc" in page
    assert "off.example" not in page
    assert LogoutDelivery.objects.get(application=off).last_reason == silence.DISABLED


def test_the_sign_out_page_says_in_plain_words_who_is_not_told() -> None:
    told, wiki = make_application("Told", backchannel_logout_uri=BC), make_application("Wiki")
    client = browser(make_session(make_user(), told, wiki))
    page = client.get(client.get("/v2/logout", headers=PAGE_VISIT)["Location"]).content.decode()
    assert "Wiki is not told of this sign-out. You may still be signed in there: sign out of it too." in page
    assert "Told is not told" not in page


def test_sign_out_everywhere_says_who_cannot_be_told() -> None:
    mary = make_user()
    front = make_application("Front", frontchannel_logout_uri="https://front.example/fc")
    told = make_application("Told", backchannel_logout_uri=BC)
    here = make_session(mary, front, told, make_application("Wiki"))
    page = browser(here).get("/account/sessions/everywhere").content.decode()
    assert "but we cannot tell Wiki. You may stay signed in there: sign out of it too" in page
    make_session(mary, front)  # on another device nobody loads its frame
    page = browser(here).get("/account/sessions/everywhere").content.decode()
    assert "but we cannot tell Front, Wiki. You may stay signed in there: sign out of them too" in page


def test_sign_out_everywhere_promises_without_exceptions_when_there_are_none() -> None:
    here = make_session(make_user(), make_application("Told", backchannel_logout_uri=BC))
    assert "<li>The apps are told at once.</li>" in browser(here).get("/account/sessions/everywhere").content.decode()


@pytest.mark.parametrize(
    ("act", "initiator"),
    [("block", "account-deactivated"), ("password", "password-changed"), ("sign-out", "session-revoked")],
)
def test_pages_that_promise_name_who_does_not_hear(admin: Client, act: str, initiator: str) -> None:
    auth0 = {"backchannel_logout_initiators_mode": "custom", "backchannel_logout_initiators": ["rp-logout"]}
    mary = make_user()
    make_session(mary, make_application("Told", backchannel_logout_uri=BC))
    make_session(mary, make_application("Wiki", backchannel_logout_uri=BC, **auth0))
    page = admin.get(reverse("admin:idp_user_act", args=(mary.pk, act))).content.decode()
    assert f"Wiki (it does not listen to {initiator})" in page
    assert "Told (" not in page


def test_deleting_a_person_names_who_does_not_hear(admin: Client) -> None:
    mary = make_user()
    make_session(mary, make_application("Wiki"))
    page = admin.get(reverse("admin:idp_user_delete", args=(mary.pk,))).content.decode()
    assert "Wiki (it has no logout URL)" in page


def test_ending_a_session_and_disabling_a_connection_name_who_does_not_hear(admin: Client) -> None:
    session = make_session(make_user(), make_application("Wiki"))
    for url in (
        reverse("admin:sessions_app_ssosession_act", args=(session.pk, "end")),
        reverse("admin:idp_connection_act", args=(session.connection_id, "disable")),
    ):
        assert "Wiki (it has no logout URL)" in admin.get(url).content.decode()


def test_the_application_s_page_says_what_it_is_not_told_of(admin: Client) -> None:
    def page_of(application: Application) -> str:
        return admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()

    deaf = make_application(
        "Deaf",
        backchannel_logout_uri=BC,
        backchannel_logout_initiators_mode="custom",
        backchannel_logout_initiators=["rp-logout"],
    )
    assert "the account was blocked" in page_of(deaf)
    assert "it hears of every ending" in page_of(make_application("Told", backchannel_logout_uri=BC))
    assert "Only a back-channel URL hears of these" in page_of(
        make_application("Front", frontchannel_logout_uri="https://front.example/fc")
    )
    assert "it has no logout URL" in page_of(make_application("Mute"))


def test_a_row_that_was_not_told_is_shown_in_the_story_without_attempts() -> None:
    session = make_session(make_user(), make_application("Wiki"))
    end(Selection.session(session.pk))
    session.refresh_from_db()
    entry = timeline(session)[-1]
    assert (entry.kind, entry.attempts) == ("not_told", [])
    assert entry.delivery is not None
