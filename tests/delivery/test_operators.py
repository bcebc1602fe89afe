"""What somebody does on the command line at three in the morning: `signed_in`, `sign_out`, `told`, `redeliver`, `doctor`."""

from __future__ import annotations

import json
import re
import shlex
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import DatabaseError
from django.utils import timezone

from idp.models import Application, Identity, User
from idp.operations.terminal import table
from idp.protocol.initiators import Initiator
from logout_app.delivery import metrics
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import DeliveryState, DrainReport, LogoutDelivery, LogoutEvent
from logout_app.operators import doctor
from sessions_app.models import ImportJob, JobStatus, SessionEvent, SSOSession
from tests.support.factories import make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]
OURS = ("idp", "sessions_app", "logout_app")
TOKENS = "applications refuse tokens with a wrong time."


@pytest.fixture
def mary() -> User:
    return make_user(name="Mary Fabrikam")


@pytest.fixture
def wiki() -> Application:
    return make_application("Wiki", backchannel_logout_uri="https://wiki.example/logout")


def run(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 0) -> str:
    capsys.readouterr()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command(*map(str, arguments))
        assert ended.value.code == code
    else:
        call_command(*map(str, arguments))
    return capsys.readouterr().out


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command(*arguments)
    return str(error.value)


def ended(user: User, **columns: Any) -> LogoutDelivery:
    """An end that the Wiki hears of, and what became of telling it."""
    at = timezone.now()
    end_sessions(
        Selection.user(user.pk), initiator=Initiator.SESSION_REVOKED, actor="system", at=at, offline_tokens=True
    )
    row = LogoutDelivery.objects.latest("pk")
    LogoutDelivery.objects.filter(pk=row.pk).update(**columns)
    return row


DEAD: dict[str, Any] = {"state": DeliveryState.DEAD, "attempts": 9, "last_status": 500, "last_reason": "out of order"}


@pytest.mark.parametrize("typed", ["mary@fabrikamcorp.com", "MARY@fabrikamcorp.com", "Mary Fabrikam", "id", "sid"])
def test_who_is_signed_in_where_and_to_what(mary: User, wiki: Application, capsys: Any, typed: str) -> None:
    session = make_session(mary, wiki, last_ip="203.0.113.7")
    make_session(make_user("grace@fabrikamcorp.com", name="Grace"), wiki)
    typed = {"id": mary.user_id, "sid": session.sid}.get(typed, typed)
    said = run(capsys, "signed_in", typed)
    assert session.sid in said
    assert "203.0.113.7" in said
    assert "Wiki" in said
    assert said.splitlines()[-1].startswith("1 live session;")
    (row,) = json.loads(run(capsys, "signed_in", typed, "--json"))["sessions"]
    assert (row["user_id"], row["applications"], row["ip"]) == (mary.user_id, ["Wiki"], "203.0.113.7")
    assert json.loads(run(capsys, "signed_in", "--json"))["total"] == 2


def test_several_people_of_one_name_are_listed_and_none_is_signed_out(mary: User) -> None:
    other = make_user("mary@elsewhere.example", make_connection("other"), name="Mary Fabrikam")
    make_session(mary)
    said = refused("sign_out", "Mary Fabrikam", "--no-input")
    assert mary.user_id in said
    assert other.user_id in said
    assert refused("sign_out", "nobody@fabrikamcorp.com") == "There is nobody called nobody@fabrikamcorp.com."
    assert refused("sign_out") == "Give a person, or a session."
    assert SSOSession.objects.filter(ended_at=None).count() == 1


def test_an_address_that_is_the_id_of_one_account_and_belongs_to_another_names_both(mary: User) -> None:
    """As by SAML, where the NameID often is the address: neither must be left signed in because the other was found."""
    saml = User.objects.create(user_id="samlp|acme|mary", name="\x1b[2JMary")
    connection = make_connection("acme", "samlp")
    Identity.objects.create(user=saml, connection=connection, sub=mary.email, email="")
    make_session(mary)
    said = refused("sign_out", mary.email, "--no-input")
    assert mary.user_id in said
    assert saml.user_id in said
    assert "\x1b" not in said, "people choose their names, and terminals obey"
    assert SSOSession.objects.filter(ended_at=None).count() == 1


def test_a_question_that_fails_in_any_way_keeps_no_other_from_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(at: Any) -> Any:
        raise ValueError("nobody thought of this")
        yield

    monkeypatch.setattr(doctor, "TOPICS", {"strange": fails, "queue": doctor.TOPICS["queue"]})
    found = {each.topic: each for each in doctor.examine(timezone.now)}
    assert found["strange"].level == doctor.BROKEN
    assert "nobody thought of this" in found["strange"].sentence
    assert found["queue"].level == doctor.GOOD


def test_a_person_is_signed_out_by_an_operator_with_a_name(
    mary: User, wiki: Application, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_session(mary, wiki, make_application("Deaf"))
    make_session(mary, wiki)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    assert refused("sign_out", mary.user_id) == "Nothing was done."
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    said = run(capsys, "sign_out", "mary@fabrikamcorp.com", "--actor", "operator:grace")
    event = LogoutEvent.objects.get()
    assert (event.actor, event.initiator) == ("operator:grace", "session-revoked")
    assert f"2 sessions ended; 2 messages to applications (end #{event.pk})." in said
    assert "Not told" in said
    assert "Deaf" in said
    assert {row.actor for row in SessionEvent.objects.filter(type="ended")} == {"operator:grace"}
    assert "Nothing was left" in run(capsys, "sign_out", "mary@fabrikamcorp.com", "--no-input")


def test_one_session_is_ended_and_the_other_stays(mary: User, wiki: Application, capsys: Any) -> None:
    first, second = make_session(mary, wiki), make_session(mary, wiki)
    found = json.loads(run(capsys, "sign_out", "--session", first.sid, "--json"))
    assert (found["sessions"], found["deliveries"]) == (1, 1)
    assert list(SSOSession.objects.filter(ended_at=None)) == [second]


def test_why_an_application_was_not_told(mary: User, wiki: Application, capsys: Any) -> None:
    make_session(mary, wiki, make_application("Deaf"))
    row = ended(mary)
    LogoutDelivery.objects.filter(application=wiki).update(**DEAD, finished_at=timezone.now())
    said = run(capsys, "told", "mary@fabrikamcorp.com", code=2)
    assert "500 out of order" in said
    assert "No answer" in said
    assert "it has no logout URL" in said
    assert "0 of 2 are signed out." in said
    assert "Deaf" not in run(capsys, "told", "--application", "wiki", code=2)
    assert "Deaf" in run(capsys, "told", "--end", row.event_id, code=2)
    found = json.loads(run(capsys, "told", mary.user_id, "--json", code=2))
    assert {one["state"] for one in found["deliveries"]} == {"dead", "not_told"}
    LogoutDelivery.objects.update(state=DeliveryState.DELIVERED, channel="backchannel", finished_at=timezone.now())
    assert run(capsys, "told", mary.user_id) == "2 of 2 are signed out.\n"
    assert refused("told", "--end", "999999") == "There is no end #999999."
    assert "no application" in refused("told", "--application", "nothing")
    assert refused("told", "--hours", "99999999999").startswith("--hours is from 1 to ")


def test_what_was_given_up_is_sent_again_once_and_written_down(mary: User, wiki: Application, capsys: Any) -> None:
    make_session(mary, wiki)
    row = ended(mary, **DEAD, finished_at=timezone.now())
    said = run(capsys, "redeliver", "--application", "Wiki", "--actor", "operator:grace")
    assert said == "1 delivery is sent again within a second.\n"
    row.refresh_from_db()
    assert row.state == DeliveryState.PENDING
    line = SessionEvent.objects.get(type="administered")
    assert (line.actor, line.client_id, line.data["act"]) == ("operator:grace", "wiki", "Redeliver")
    assert "Nothing was to be sent" in refused("redeliver", "--application", "Wiki")
    LogoutDelivery.objects.update(**DEAD, finished_at=timezone.now())
    assert json.loads(run(capsys, "redeliver", row.pk, "--json")) == {"sent_again": 1}
    assert "Nothing was to be sent" in refused("redeliver", "0", "99999999999999999999999")
    assert refused("redeliver") == "Give numbers of deliveries, or an application."


def examples() -> list[str]:
    """Every line of our documents that begins a command of ours."""
    texts = [path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [block for text in texts for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)]
    lines = [line.split("manage.py ", 1)[1] for block in blocks for line in block.splitlines() if "manage.py " in line]
    return [line for line in lines if get_commands().get(line.split()[0]) in OURS]


def test_the_documents_name_commands_and_flags_that_there_are() -> None:
    found = examples()
    assert {line.split()[0] for line in found} >= {"apply", "export", "import_users", "export_users", "told", "doctor"}
    for line in found:
        name, *arguments = shlex.split(re.split(r" [>|] ", line)[0], comments=True)
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)  # raises CommandError for what it does not know


# --- doctor ----------------------------------------------------------------------------------------------------------
def diagnosis(topic: str) -> tuple[str, str]:
    (found,) = [each for each in doctor.examine(timezone.now) if each.topic == topic]
    return found.level, found.sentence


def test_a_curfew_that_is_well_says_so_of_each_thing(capsys: Any, settings: Any) -> None:
    settings.REDIS_URL = ""
    DrainReport.objects.create(name="worker", seen_at=timezone.now(), held=0, idle_for=1)
    found = json.loads(run(capsys, "doctor", "--json", code=2))
    levels = {each["topic"]: each["level"] for each in found["findings"]}
    assert levels.pop("mail server") == "warning", "the tests' mail goes nowhere"
    assert set(levels.values()) == {"ok"}, found
    assert levels.keys() == {"database", *doctor.TOPICS} - {"mail server"}


def _dead(mary: User, wiki: Application) -> None:
    make_session(mary, wiki)
    ended(mary, **DEAD, finished_at=timezone.now(), created_at=timezone.now() - timedelta(hours=1))


def _overdue(mary: User, wiki: Application) -> None:
    make_session(mary, wiki)
    ended(mary, due_at=timezone.now() - timedelta(minutes=10))


def _silent_worker(mary: User, wiki: Application) -> None:
    DrainReport.objects.create(name="worker", seen_at=timezone.now() - timedelta(hours=1), held=0)


def _lost_key(mary: User, wiki: Application) -> None:
    make_connection("acme", "okta", sealed_options={"client_secret": "v1.nobody.knows"})


def _silent_connection(mary: User, wiki: Application) -> None:
    make_connection("acme", "okta", silent_since=timezone.now())


def _stopped(mary: User, wiki: Application) -> None:
    ImportJob.objects.create(
        digest="", actor="x", status=JobStatus.PROCESSING, heard_at=timezone.now() - timedelta(hours=1)
    )


@pytest.mark.parametrize(
    ("break_it", "topic", "level", "words"),
    [
        (_dead, "given up", "warning", "wiki (1)"),
        (_dead, "sign-outs", "broken", "Wiki"),
        (_overdue, "queue", "broken", "wiki (1)"),
        (_silent_worker, "workers", "broken", "no application hears"),
        (_lost_key, "secrets", "broken", "acme"),
        (_silent_connection, "connections", "broken", "acme does not answer"),
        (_stopped, "imports", "warning", "job_"),
    ],
)
def test_what_is_broken_is_said_in_a_sentence(
    mary: User, wiki: Application, break_it: Any, topic: str, level: str, words: str
) -> None:
    break_it(mary, wiki)
    found, sentence = diagnosis(topic)
    assert found == level
    assert words in sentence


def test_mail_and_redis_that_are_away_are_named_and_keep_nothing_else_from_being_asked(
    settings: Any, capsys: Any
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        port,
    )
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    said = run(capsys, "doctor", code=1)
    assert f"broken   mail server: The mail server 127.0.0.1:{port} does not take mail" in said
    assert "broken   redis: Redis is unavailable" in said
    assert "ok       signing keys" in said


def test_a_database_that_cannot_be_asked_is_an_answer(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def away(_: Any) -> Any:
        raise DatabaseError("connection refused\nby everybody")
        yield

    monkeypatch.setattr(doctor, "_database", away)
    found = json.loads(run(capsys, "doctor", "--json", code=1))
    sentences = {each["topic"]: each["sentence"] for each in found["findings"]}
    assert sentences["database"] == "Asking failed: DatabaseError: connection refused"
    assert sentences["queue"] == "Not known: the database cannot be asked."
    assert "Not known" not in sentences["mail server"]


def test_a_clock_that_is_wrong_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "clock_difference", lambda _: timedelta(minutes=5))
    assert diagnosis("clock") == ("broken", f"This clock and the database's are 300 s apart: {TOKENS}")


def test_what_somebody_called_themselves_does_not_command_the_terminal() -> None:
    assert table(("name",), [("\x1b[2Jgone\n",)]) == "name\n?[2Jgone?"
