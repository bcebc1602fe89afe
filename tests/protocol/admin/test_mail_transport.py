"""*Test mail* says in words where it ends. The double answers as Postfix 3.7 does (smtpd(8), its default replies)."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from idp.branding import transport
from idp.tenants import configuration
from tests.support.factories import browser, make_session, make_user
from tests.support.sites import certificate_for

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TO = "mary@fabrikamcorp.com"
USUAL = {
    "EHLO": "250-mail.example.com\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
    "STARTTLS": "220 2.0.0 Ready to start TLS",
    "AUTH": "235 2.7.0 Authentication successful",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 End data with <CR><LF>.<CR><LF>",
    ".": "250 2.0.0 Ok: queued as 4XyZ",
    "QUIT": "221 2.0.0 Bye",
}


@contextmanager
def postfix(
    changed: Mapping[str, str], greeting: str = "220 mail.example.com ESMTP Postfix", tls: Any = None
) -> Iterator[int]:
    """A mail server with some answers changed, for one conversation; gives its port."""
    answers = {**USUAL, **changed}
    listening = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        with listening, listening.accept()[0] as plain:
            plain.settimeout(30)
            _converse(plain, answers, greeting, tls)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    thread.join(30)


def _converse(plain: socket.socket, answers: Mapping[str, str], greeting: str, tls: Any) -> None:
    peer, lines = plain, plain.makefile("rb")
    _say(peer, greeting)
    in_data = False
    try:
        while line := lines.readline().decode().rstrip("\r\n"):
            while in_data and line != ".":
                line = lines.readline().decode().rstrip("\r\n")
            command = "." if in_data else line.split(" ")[0].upper()
            _say(peer, answers.get(command, "502 5.5.2 Error: command not recognized"))
            in_data = command == "DATA" and answers["DATA"].startswith("354")
            if command == "STARTTLS" and tls is not None:
                peer = tls.wrap_socket(plain, server_side=True)
                lines = peer.makefile("rb")
            if command == "QUIT":
                return
    except OSError:  # the other side hung up, as it may
        return


def _say(peer: socket.socket, answer: str) -> None:
    peer.sendall(f"{answer}\r\n".encode())


@pytest.fixture
def mail(settings: Any) -> Callable[..., None]:
    def use(port: int, host: str = "127.0.0.1", **more: Any) -> None:
        settings.EMAIL_BACKEND = transport.SMTP
        settings.EMAIL_HOST, settings.EMAIL_PORT = host, port
        settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = False, False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        for name, value in more.items():
            setattr(settings, name, value)

    return use


def last(recipient: str = TO) -> transport.TransportStep:
    return transport.test(recipient)[-1]


def test_a_mail_that_the_server_takes_names_every_step(mail: Any) -> None:
    with postfix({}) as port:
        mail(port, EMAIL_HOST_USER="curfew", EMAIL_HOST_PASSWORD="secret")
        steps = transport.test(TO)
    assert [step.name for step in steps] == list(transport.ORDER)
    assert [step.ok for step in steps] == [True, True, None, True, True, True, True]
    assert "in clear" in steps[2].sentence


@pytest.mark.parametrize(
    ("changed", "settings_of_it", "step", "words"),
    [
        ({"AUTH": "535 5.7.8 Error: authentication failed"}, {"EMAIL_HOST_USER": "curfew"}, "Login", "refuses the user curfew"),
        ({"MAIL": "553 5.7.1 Sender address rejected"}, {}, "Sender", "553 5.7.1 Sender address rejected"),
        ({"RCPT": "550 5.1.1 User unknown in local recipient table"}, {}, "Recipient", f"refuses the recipient {TO}: 550"),
        ({".": "552 5.3.4 Error: message file too big"}, {}, "Message", "552 5.3.4"),
        ({"EHLO": "250 mail.example.com"}, {"EMAIL_USE_TLS": True}, "Encryption", "offers no encryption"),
        ({"STARTTLS": "454 4.7.0 TLS not available"}, {"EMAIL_USE_TLS": True}, "Encryption", "454 4.7.0"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_said_with_its_own_words(
    mail: Any, changed: dict[str, str], settings_of_it: dict[str, Any], step: str, words: str
) -> None:
    with postfix(changed) as port:
        mail(port, EMAIL_HOST_PASSWORD="s3cret-of-mail", **settings_of_it)
        if "EMAIL_HOST_USER" not in settings_of_it:
            mail(port, **settings_of_it)
        found = last()
    assert (found.name, found.ok) == (step, False)
    assert words in found.sentence
    assert "s3cret" not in found.sentence


def test_a_name_that_is_not_known_a_closed_port_and_what_is_no_mail_server(mail: Any) -> None:
    mail(25, host="mail.invalid")
    assert (last().name, "not known (DNS)" in last().sentence) == ("Name", True)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mail(port)
    assert last().name == "Connection"
    with postfix({}, greeting="HTTP/1.1 400 Bad Request") as port:
        mail(port)
        assert last().name == "Connection"


def test_a_certificate_that_nobody_trusts_is_named(mail: Any, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate_for("127.0.0.1", tmp_path)))
    with postfix({}, tls=context) as port:
        mail(port, EMAIL_USE_TLS=True)
        found = last()
    assert found.name == "Encryption"
    assert "certificate of the server is not trusted" in found.sentence


def test_the_page_shows_the_steps_and_says_that_there_is_no_server(settings: Any) -> None:
    configuration.load_tenant()
    boss = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    settings.EMAIL_BACKEND = "idp.operations.console_mail.EmailBackend"
    answer = boss.post(reverse("admin:mail_test"), {"recipient": TO})
    assert "No mail server is configured" in answer.content.decode()
    assert (
        boss.post(reverse("admin:mail_test"), {"recipient": "a@x.example\r\nRCPT TO:<eve@x.example>"}).status_code
        == 200
    )
    answers = [boss.post(reverse("admin:mail_test"), {"recipient": TO}).content.decode() for _ in range(20)]
    assert "You sent many mails lately" in answers[-1]
