"""OpenID Provider Commands: what acts on a person tell an application that was written from the draft, and what its answers mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from idp import signals
from idp.crypto import keys
from idp.models import Application, User
from idp.people import accounts
from idp.protocol.initiators import Initiator
from logout_app.delivery import redeliver
from logout_app.ending import purge
from logout_app.ending.end import Selection, end_sessions
from logout_app.evidence import overdue
from logout_app.models import LogoutDelivery, LogoutEvent
from logout_app.protocol import commands
from logout_app.protocol.retry import Answer, History, Outcome
from sessions_app.models import RefreshTokenFamily
from tests.delivery.conftest import running
from tests.support.command_receiver import TRANSITIONS, CommandReceiver
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.receiver import wait_until

DRAFT = "OpenID Provider Commands 1.0, draft 02"
ISSUER = "http://localhost:8000/"
CHANNEL = "command"


@pytest.fixture
def vault() -> Iterator[CommandReceiver]:
    keys.ensure()
    with CommandReceiver(ISSUER, "vault", keys.published()) as receiver:
        yield receiver


@pytest.fixture
def application(vault: CommandReceiver) -> Application:
    return make_application("Vault", command_endpoint=vault.endpoint)


@pytest.fixture
def mary(application: Application, vault: CommandReceiver) -> User:
    """In its application by an offline token, without any session."""
    person = make_user()
    RefreshTokenFamily.objects.create(user=person, application=application, offline=True, auth_time=timezone.now())
    vault.states[person.user_id] = "active"
    return person


def end_everything(person: User, initiator: Initiator = Initiator.SESSION_REVOKED) -> None:
    at = timezone.now()
    end_sessions(Selection.user(person.pk), initiator=initiator, actor="admin:1", at=at, offline_tokens=True)


def block(person: User) -> None:
    accounts.block_user(person, actor="admin:1", at=timezone.now())


def unblock(person: User) -> None:
    accounts.unblock_user(person, actor="admin:1", at=timezone.now())


def delete(person: User) -> None:
    accounts.delete_user(person, actor="admin:1", at=timezone.now())


def deprovision(person: User) -> None:
    with transaction.atomic():  # a worker that sees the command before the person is blocked takes it for overtaken
        User.objects.filter(pk=person.pk).update(is_active=False)
        end_everything(person, Initiator.DEPROVISIONED)


def reprovision(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=True)
    at, source = timezone.now(), person.identities.get().connection
    signals.provisioned.send(
        User, user=person, connection=source, act="reactivated", data={}, actor="scim", at=at, facts=None
    )


def purge_all() -> None:
    for _, act in purge.batches(timezone.now(), 365):
        act()


def told() -> list[tuple[str, str, str]]:
    """Command, state and reason of each row."""
    rows = LogoutDelivery.objects.filter(channel=CHANNEL).order_by("pk")
    return [(row.sign_out.initiator.removeprefix("command-"), row.state, row.last_reason) for row in rows]


def all_sent() -> bool:
    return not LogoutDelivery.objects.filter(channel=CHANNEL, state="pending").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.spec(
    DRAFT, "Account Commands", "A blocked person is suspended, one who is let in reactivated, a deleted one deleted"
)
def test_each_act_on_a_person_is_the_command_that_it_means(vault, mary):
    sub = mary.user_id
    with running():
        for act, state in (
            (end_everything, "active"),
            (block, "suspended"),
            (unblock, "active"),
            (deprovision, "suspended"),
            (reprovision, "active"),
            (delete, "unknown"),
        ):
            act(mary)
            wait_until(lambda: all_sent() and told())
            assert vault.states[sub] == state, (act, told(), vault.answers)
    assert vault.commands == ["invalidate", "suspend", "reactivate", "suspend", "reactivate", "delete"]
    assert {claims["sub"] for claims in vault.taken} == {sub}
    assert {claims["tenant"] for claims in vault.taken} == {"organization"}
    assert told()[1] == ("suspend", "delivered", "200: the account is suspended")
    assert {row.state_in_words for row in LogoutDelivery.objects.filter(channel=CHANNEL)} == {"Told"}


@pytest.mark.django_db(transaction=True)
def test_one_that_is_down_is_asked_again_and_what_was_overtaken_is_not_sent(vault, mary):
    vault.down = 503
    with running():
        block(mary)
        wait_until(lambda: LogoutDelivery.objects.filter(channel=CHANNEL).exclude(last_status=None).exists())
    assert told()[0][1] == "pending"
    unblock(mary)
    vault.down = 0
    LogoutDelivery.objects.filter(channel=CHANNEL).update(due_at=timezone.now())
    with running():
        wait_until(all_sent, 30)
    assert told() == [
        ("suspend", "dropped", "the person was let in again meanwhile"),
        ("invalidate", "delivered", "200: the account is active"),  # what ended here ends there too
        ("reactivate", "delivered", "409: the account is active there already"),
    ]
    assert vault.commands == ["invalidate"]


@pytest.mark.django_db
class TestWhoIsTold:
    def test_applications_that_take_commands_and_that_the_person_was_in(self, application, mary):
        for name, fields in (
            ("silent", {}),
            ("off", {"command_endpoint": "https://off.example/c", "enabled": False}),
        ):
            make_session(mary, make_application(name, **fields))
        make_application("stranger", command_endpoint="https://stranger.example/c")
        joined = make_application("joined", command_endpoint="https://joined.example/c")
        make_session(mary, joined)
        end_everything(mary)
        rows = LogoutDelivery.objects.filter(channel=CHANNEL).order_by("client_id")
        assert [(row.client_id, row.sub, row.session_id) for row in rows] == [
            ("joined", mary.user_id, None),
            ("vault", mary.user_id, None),
        ]
        event = LogoutEvent.objects.get(initiator="command-invalidate")
        assert (event.user, event.sub, event.actor, event.sessions_ended) == (mary, mary.user_id, "admin:1", 0)

    def test_the_end_of_less_than_everything_is_no_command(self, application, mary):
        session, other = make_session(mary, application), make_session(mary, application)
        for selection, offline in (
            (Selection.session(session.pk), False),
            (Selection.user(mary.pk, except_session=other.pk), True),
            (Selection.user(mary.pk), False),
        ):
            end_sessions(
                selection, initiator=Initiator.RP_LOGOUT, actor="user", at=timezone.now(), offline_tokens=offline
            )
        assert told() == []

    def test_nothing_is_invalidated_twice_and_whoever_has_no_session_is_suspended_all_the_same(self, mary):
        end_everything(mary)
        end_everything(mary)
        assert [command for command, *_ in told()] == ["invalidate"]
        block(mary)
        assert [command for command, *_ in told()] == ["invalidate", "suspend"]

    def test_who_was_suspended_is_reactivated_though_nothing_of_theirs_is_on_record_any_more(self, mary):
        long_ago = timezone.now() - timedelta(days=4000)
        block(mary)
        RefreshTokenFamily.objects.all().delete()
        LogoutDelivery.objects.update(state="delivered", finished_at=long_ago)
        LogoutEvent.objects.update(at=long_ago)
        purge_all()
        unblock(mary)
        assert [command for command, *_ in told()] == ["suspend", "reactivate"]
        LogoutDelivery.objects.update(state="delivered", finished_at=long_ago)
        LogoutEvent.objects.update(at=long_ago)
        purge_all()
        assert told() == []
        assert not LogoutEvent.objects.exists()

    def test_a_command_that_nobody_took_is_no_incomplete_end(self, mary):
        block(mary)
        long_ago = timezone.now() - 3 * overdue.COMPLETE_WITHIN
        LogoutDelivery.objects.filter(channel=CHANNEL).update(created_at=long_ago, state="dead", finished_at=long_ago)
        assert overdue.incomplete(timezone.now()).ends == 0


ALL_STATES = ("unknown", "active", "suspended", "archived")


@pytest.mark.spec(DRAFT, "Incompatible State Response", "409 tells the state; what is there already is done")
@pytest.mark.parametrize("state", ALL_STATES)
@pytest.mark.parametrize("command", ["invalidate", "suspend", "reactivate", "delete"])
def test_a_409_is_done_where_the_account_has_no_more_than_the_command_leaves_it(command, state):
    fits, _ = TRANSITIONS[command]
    if state in fits:
        return  # no 409 then
    answer = Answer(409, detail=json.dumps({"account_state": state, "error": "incompatible_state", "sub": "x"}))
    decision = commands.decide(answer, history(command), at=timezone.now(), jitter=0.5)
    wanted = {"reactivate": {"active"}}.get(command, {"suspended", "archived", "unknown"})
    assert decision.outcome is (Outcome.DELIVERED if state in wanted else Outcome.REFUSED)
    assert f"409: the account is {state} there" in decision.reason
    assert decision.delay is None


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (200, '{"account_state": "active", "sub": "x"}', Outcome.DELIVERED, "200: the account is active"),
        (204, "", Outcome.DELIVERED, "204"),
        (200, "<html>", Outcome.DELIVERED, "200"),
        (400, '{"error": "unsupported_command"}', Outcome.REFUSED, "unsupported_command"),
        (401, '{"error": "unrecognized_provider"}', Outcome.RETRY, "unrecognized_provider"),
        (409, '{"error": "authentication_not_transferable"}', Outcome.RETRY, "authentication_not_transferable"),
        (409, '{"account_state": ["active"]}', Outcome.RETRY, "409"),
        (409, "[" * 5000, Outcome.RETRY, "409"),
        (500, "", Outcome.RETRY, "500"),
    ],
)
def test_other_answers_mean_what_they_mean_everywhere(status, body, outcome, reason):
    decision = commands.decide(Answer(status, detail=body), history("suspend"), at=timezone.now(), jitter=0.5)
    assert decision.outcome is outcome
    assert reason in decision.reason


def history(command: str) -> History:
    return History(1, None, timedelta(), timedelta(days=1), f"command-{command}")


@pytest.mark.django_db(transaction=True)
def test_one_that_was_refused_is_dead_with_its_reason_and_can_be_sent_again(vault, mary):
    vault.supported.remove("suspend")
    with running():
        block(mary)
        wait_until(all_sent)
        [row] = LogoutDelivery.objects.filter(channel=CHANNEL)
        assert row.state == "dead"
        assert "unsupported_command" in row.last_reason
        vault.supported.append("suspend")
        assert redeliver.deliveries([row.pk], at=timezone.now()) == 1
        wait_until(lambda: vault.states[mary.user_id] == "suspended")


@pytest.mark.django_db
def test_the_console_asks_which_commands_it_takes_and_shows_who_was_told_what(vault, application, mary, settings):
    admin = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    page = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert f'value="{vault.endpoint}"' in page
    act = reverse("admin:idp_application_act", args=(application.pk, "test-sign-out"))
    answered = admin.post(act).content.decode()
    assert "it takes metadata, invalidate, suspend, reactivate, delete" in answered, vault.answers
    assert vault.taken == []
    assert not LogoutEvent.objects.exists()
    block(mary)
    [row] = LogoutDelivery.objects.filter(channel=CHANNEL)
    shown = admin.get(reverse("admin:logout_app_logoutdelivery_change", args=(row.pk,))).content.decode()
    assert "Provider command" in shown
    event = admin.get(reverse("admin:logout_app_logoutevent_change", args=(row.event_id,))).content.decode()
    assert "command-suspend" in event
