"""Whether mail leaves here: one mail, step by step as SMTP does it (RFC 5321), and in words where it ended.

It asks the server of the settings, as the worker does. Of what the server said the words are shown, never what was sent to it.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

from django.conf import settings

PATIENCE = 10  # seconds for each step
LONGEST_ANSWER = 300  # characters
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@dataclass(frozen=True, slots=True)
class TransportStep:
    """`ok` is None where nothing had to be done."""

    name: str
    ok: bool | None
    sentence: str


class _Failed(Exception):
    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def test(recipient: str) -> list[TransportStep]:
    """Each step until the first that failed."""
    if settings.EMAIL_BACKEND != SMTP:
        return [
            TransportStep(
                "Server", False, f"No mail server is configured (CURFEW_EMAIL_URL): mail goes to {_elsewhere()}."
            )
        ]
    found: list[TransportStep] = []
    try:
        for step in _Conversation(settings.EMAIL_HOST, settings.EMAIL_PORT).steps(recipient):
            found.append(step)  # noqa: PERF402  what was done before a failure is shown
    except _Failed as failure:
        name = ORDER[len(found)] if len(found) < len(ORDER) else ORDER[-1]
        found.append(TransportStep(name, False, failure.sentence))
    return found


ORDER = ("Name", "Connection", "Encryption", "Login", "Sender", "Recipient", "Message")


class _Conversation:
    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.server: smtplib.SMTP | None = None

    def steps(self, recipient: str) -> Iterator[TransportStep]:
        try:
            yield self._name()
            yield self._connection()
            yield self._encryption()
            yield self._login()
            yield self._sender()
            yield self._recipient(recipient)
            yield self._message(recipient)
        finally:
            if self.server is not None:
                self.server.close()

    @property
    def smtp(self) -> smtplib.SMTP:
        if self.server is None:
            raise _Failed("There is no connection.")
        return self.server

    def _name(self) -> TransportStep:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _Failed(f"The name {self.host} is not known (DNS): {error.strerror or error}.") from None
        return TransportStep(
            "Name", True, f"{self.host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}."
        )

    def _connection(self) -> TransportStep:
        """With `smtps` the encryption comes first, and what fails of it is said there."""
        where = f"{self.host}:{self.port}"
        with _said(f"{where} does not answer as a mail server"):
            if settings.EMAIL_USE_SSL:
                context = ssl.create_default_context()
                try:
                    self.server = smtplib.SMTP_SSL(self.host, self.port, timeout=PATIENCE, context=context)
                except ssl.SSLError as error:
                    raise _Failed(_of_tls(error)) from None
            else:
                self.server = smtplib.SMTP(self.host, self.port, timeout=PATIENCE)
            self.smtp.ehlo()
        return TransportStep("Connection", True, f"{where} answers.")

    def _encryption(self) -> TransportStep:
        if settings.EMAIL_USE_SSL:
            return TransportStep("Encryption", True, "Encrypted from the first byte, and the certificate is good.")
        if not settings.EMAIL_USE_TLS:
            return TransportStep(
                "Encryption", None, "Not asked for: passwords and mails travel in clear (smtp+tls:// asks)."
            )
        if not self.smtp.has_extn("starttls"):
            raise _Failed("The server offers no encryption (STARTTLS), which the settings ask for.")
        try:
            with _said("The server refuses to encrypt"):
                self.smtp.starttls(context=ssl.create_default_context())
                self.smtp.ehlo()
        except ssl.SSLError as error:
            raise _Failed(_of_tls(error)) from None
        return TransportStep("Encryption", True, "Encrypted (STARTTLS), and the certificate is good.")

    def _login(self) -> TransportStep:
        if not settings.EMAIL_HOST_USER:
            return TransportStep("Login", None, "Not asked for: CURFEW_EMAIL_URL has no user.")
        with _said(f"The server refuses the user {settings.EMAIL_HOST_USER} or the password"):
            self.smtp.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
        return TransportStep("Login", True, f"{settings.EMAIL_HOST_USER} is let in.")

    def _sender(self) -> TransportStep:
        sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
        with _said(f"The server refuses the sender {sender} (CURFEW_FROM_EMAIL)"):
            _expect(*self.smtp.mail(sender))
        return TransportStep("Sender", True, f"{sender} may send.")

    def _recipient(self, recipient: str) -> TransportStep:
        with _said(f"The server refuses the recipient {recipient}"):
            _expect(*self.smtp.rcpt(recipient))
        return TransportStep("Recipient", True, f"{recipient} is accepted.")

    def _message(self, recipient: str) -> TransportStep:
        message = EmailMessage()
        message["Subject"] = "Test of mail from Curfew"
        message["From"], message["To"] = settings.DEFAULT_FROM_EMAIL, recipient
        message["Date"], message["Message-ID"] = (
            formatdate(),
            make_msgid(domain=settings.ISSUER.split("/")[2].split(":")[0]),
        )
        message.set_content("An administrator pressed Test mail. There is nothing to do.")
        with _said("The server refuses the message"):
            _expect(*self.smtp.data(message.as_bytes()))
            self.smtp.quit()
        return TransportStep("Message", True, "The server took the mail. Whether it arrives, the mailbox says.")


def _expect(code: int, answer: bytes) -> None:
    if code not in (250, 251):
        raise smtplib.SMTPResponseException(code, answer)


@contextmanager
def _said(sentence: str) -> Iterator[None]:
    """What goes wrong inside, in these words, with the server's own behind them."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise _Failed(f"{sentence}: {error.smtp_code} {_readable(error.smtp_error)}") from None
    except TimeoutError:
        raise _Failed(f"{sentence}: there was no answer within {PATIENCE} seconds.") from None
    except ssl.SSLError:
        raise
    except (smtplib.SMTPException, OSError) as error:
        raise _Failed(f"{sentence}: {_readable(str(error))}") from None


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of the server is not trusted: {error.verify_message}."
    return f"Encryption fails: {error.reason or error}. Perhaps the port wants smtp+tls:// or smtp+ssl:// instead."


def _readable(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "".join(letter if letter.isprintable() else " " for letter in text)[:LONGEST_ANSWER]


def _elsewhere() -> str:
    return "the log" if "console" in settings.EMAIL_BACKEND else "no server"
