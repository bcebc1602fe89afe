"""A person's page answers whether they are out, says what an act will do, and what it did."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from idp.models import User
from logout_app.admin.person import person_page
from logout_app.models import LogoutDelivery
from sessions_app.models import MailRequest
from tests.protocol.admin.conftest import clerk_with
from tests.protocol.admin.scene import Scene, came_of, end, refresh_tokens, scene
from tests.support.factories import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def happened(db: None) -> Scene:
    return scene()


def said(person: User, boss: User) -> tuple[str, str]:
    page = person_page(User.objects.get(pk=person.pk), boss, timezone.now())
    assert page is not None
    return page.answer.level, " ".join([page.answer.sentence, *page.answer.more])


def all_confirm(found: Scene) -> None:
    for application in (found.debugger, found.sharepoint, found.timesheet):
        came_of(application, "delivered", status=204)
    LogoutDelivery.objects.filter(client_id=found.wiki.client_id).delete()


def test_somebody_with_a_live_session_is_signed_in_and_the_applications_are_named(boss: User, happened: Scene) -> None:
    level, words = said(happened.mary, boss)
    assert level == "run"
    assert "is signed in: 1 live session, in JWT Debugger, Old Wiki, SharePoint Intranet and Timesheet SaaS" in words


def test_a_session_past_its_limit_is_not_taken_for_a_live_one(boss: User, happened: Scene) -> None:
    happened.ended.idle_expires_at = timezone.now()
    happened.ended.save()
    assert "is signed in" not in said(happened.mary, boss)[1]


def test_somebody_is_out_only_when_every_application_has_confirmed(boss: User, happened: Scene) -> None:
    end(happened.ended)
    level, words = said(happened.mary, boss)
    assert level == "bad"
    assert "is out here, and perhaps not everywhere" in words
    assert "Not told: Old Wiki." in words
    all_confirm(happened)
    assert said(happened.mary, boss) == (
        "fine",
        f"{happened.mary} is out. Every application that had to hear of it has confirmed: "
        "JWT Debugger, SharePoint Intranet and Timesheet SaaS.",
    )


def test_while_applications_are_told_the_answer_is_that_it_goes_on(boss: User, happened: Scene) -> None:
    end(happened.ended)
    LogoutDelivery.objects.filter(client_id=happened.wiki.client_id).delete()
    level, words = said(happened.mary, boss)
    assert (level, "is being signed out" in words) == ("run", True)


def test_an_application_that_gave_no_answer_is_named(boss: User, happened: Scene) -> None:
    end(happened.ended)
    came_of(happened.sharepoint, "dead", status=503)
    all_confirm(happened)
    level, words = said(happened.mary, boss)
    assert (level, "No answer: SharePoint Intranet." in words) == ("bad", True)


def test_a_page_that_was_loaded_is_no_confirmation(boss: User, happened: Scene) -> None:
    end(happened.ended)
    came_of(happened.sharepoint, "loaded")
    all_confirm(happened)
    level, words = said(happened.mary, boss)
    assert (level, "nothing confirmed: SharePoint Intranet" in words) == ("bad", True)


def test_whoever_holds_an_offline_token_is_not_out(boss: User, happened: Scene) -> None:
    refresh_tokens(happened.mary, happened.timesheet, offline=True)
    end(happened.ended)
    all_confirm(happened)
    level, words = said(happened.mary, boss)
    assert (level, "Refresh tokens still work in Timesheet SaaS" in words) == ("warn", True)


def test_a_token_that_died_with_its_session_keeps_nobody_in(boss: User, happened: Scene) -> None:
    refresh_tokens(happened.mary, happened.timesheet, offline=False)
    end(happened.ended)
    all_confirm(happened)
    assert said(happened.mary, boss)[0] == "fine"


def test_somebody_who_never_signed_in_is_out_and_a_block_is_said(boss: User) -> None:
    adele = make_user("adele@fabrikamcorp.com", is_active=False)
    level, words = said(adele, boss)
    assert (level, "is out, and has never signed in" in words, "is blocked" in words) == ("fine", True, True)


def test_whoever_may_not_look_at_sessions_is_told_that_there_is_no_answer(happened: Scene) -> None:
    page = clerk_with("view_user").get(reverse("admin:idp_user_change", args=(happened.mary.pk,))).content.decode()
    assert "cannot say whether" in page
    assert "Live sessions" not in page


def test_the_page_shows_what_each_application_heard(admin: Client, happened: Scene) -> None:
    end(happened.ended)
    came_of(happened.debugger, "delivered", status=204)
    came_of(happened.sharepoint, "dead", status=503, reason="HTTP 503: busy")
    page = admin.get(reverse("admin:idp_user_change", args=(happened.mary.pk,))).content.decode()
    for words in ("✓ Signed out", "✕ No answer", "HTTP 503: busy", "… Waiting", "⊘ Not told", "Firefox on Linux"):
        assert words in page, words
    assert "Session ended" in page  # the history


def test_end_everything_says_what_will_happen_and_then_what_did(admin: Client, happened: Scene) -> None:
    url = reverse("admin:idp_user_act", args=(happened.mary.pk, "sign-out"))
    asked = admin.get(url).content.decode()
    assert "End everything" in asked
    assert "1 live session of" in asked
    done = admin.post(url, follow=True).content.decode()
    assert "is signed out of 1 session, and every refresh token is dead" in done
    assert "is out here, and perhaps not everywhere" in done


def test_send_reset_mail_asks_for_a_mail_to_the_persons_address(admin: Client, happened: Scene) -> None:
    url = reverse("admin:idp_user_act", args=(happened.mary.pk, "reset-mail"))
    assert "The old password works until a new one is set" in admin.get(url).content.decode()
    assert not MailRequest.objects.exists()
    assert "on its way to mary@fabrikamcorp.com" in admin.post(url, follow=True).content.decode()
    assert MailRequest.objects.get().address == "mary@fabrikamcorp.com"


def test_no_reset_mail_is_offered_to_somebody_whose_password_is_not_ours(admin: Client, boss: User) -> None:
    guest = make_user("guest@partner.example")
    guest.identities.all().delete()
    response = admin.get(reverse("admin:idp_user_act", args=(guest.pk, "reset-mail")), follow=True)
    assert "There was nothing left to do" in response.content.decode()


def test_the_page_costs_the_same_however_many_sessions_ended(admin: Client, happened: Scene) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin.get(reverse("admin:idp_user_change", args=(happened.mary.pk,)))
        return len(captured)

    end(happened.ended)
    once = statements()
    for _ in range(5):
        end(make_session(happened.mary, happened.debugger, happened.sharepoint))
    assert statements() <= once
