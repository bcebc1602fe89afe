"""`manage.py audit export`: every line once to whoever collects logs, in order, and on from where it was."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
import trustme
from django.core.management import CommandError, call_command
from django.utils import timezone

from sessions_app.audit import forwarding
from sessions_app.models import SessionEvent

pytestmark = pytest.mark.django_db
NOW = timezone.now()
SYSLOG = re.compile(rb"^<(\d+)>1 (\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z) ([\w.-]+) curfew - (\w{1,32}) - (\{.*\})$")


def happen(*types: str) -> None:
    count = SessionEvent.objects.count()
    SessionEvent.objects.bulk_create(
        SessionEvent(type=kind, sub=f"auth0|{count + n}", data={}, at=NOW + timedelta(minutes=count + n))
        for n, kind in enumerate(types)
    )


def exported(**options: object) -> list[dict]:
    out = StringIO()
    call_command("audit", "export", stdout=out, **options)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@contextmanager
def collector(tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Takes one connection; its port, and the messages by octet counting when the block is over."""
    found: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            client, _ = server.accept()
            with suppress(ssl.SSLError):  # of a peer that does not believe the certificate
                stream = tls.wrap_socket(client, server_side=True) if tls else client
                with stream, stream.makefile("rb") as file:
                    while size := b"".join(iter(lambda: file.read(1).strip(), b"")):
                        found.append(file.read(int(size)))

        thread = threading.Thread(target=take)
        thread.start()
        yield server.getsockname()[1], found
        thread.join(10)


def test_lines_are_told_in_order_and_between_two_moments(monkeypatch) -> None:
    monkeypatch.setattr(forwarding, "BATCH", 2)
    happen("opened", "sign_in_failed", "ended", "opened", "ended")
    found = exported()
    assert [line["type"] for line in found] == ["opened", "sign_in_failed", "ended", "opened", "ended", "administered"]
    assert [line["id"] for line in found] == sorted(line["id"] for line in found)
    some = exported(since=NOW + timedelta(minutes=1), until=NOW + timedelta(minutes=3))
    assert [line["sub"] for line in some if line["sub"]] == ["auth0|1", "auth0|2"]


def test_a_collector_that_comes_again_gets_what_is_new_and_nothing_twice(tmp_path: Path) -> None:
    position = tmp_path / "position"
    happen("opened", "ended")
    first = exported(position=position)
    happen("opened")
    second = exported(position=position)
    told = [line["id"] for line in first + second]
    assert len(told) == len(set(told)) == SessionEvent.objects.count()
    position.write_text("somewhere")
    with pytest.raises(CommandError, match="holds no position"):
        exported(position=position)


def test_what_until_leaves_out_is_not_taken_for_told(tmp_path: Path, monkeypatch) -> None:
    """The night before last, then the next one: what happened between midnight and the run is in the second."""
    monkeypatch.setattr(forwarding, "BATCH", 2)
    position = tmp_path / "position"
    happen("opened", "ended", "opened", "ended", "opened")
    told = [exported(position=position, until=NOW + timedelta(minutes=minutes)) for minutes in (0, 3, 100)]
    assert [[line["sub"] for line in lines if line["sub"]] for lines in told] == [
        [],
        ["auth0|0", "auth0|1", "auth0|2"],
        ["auth0|3", "auth0|4"],
    ]


def test_syslog_is_that_of_the_rfc_over_tcp(settings) -> None:
    happen("opened", "sign_in_failed")
    with collector() as (port, messages):
        call_command("audit", "export", format="syslog", to=f"tcp://127.0.0.1:{port}")
    found = [SYSLOG.match(message) for message in messages]
    assert all(found)
    assert [(each[1], each[4]) for each in found][:2] == [(b"109", b"opened"), (b"108", b"sign_in_failed")]
    assert {each[3] for each in found} == {settings.ISSUER_PARTS.hostname.encode()}
    assert json.loads(found[0][5])["sub"] == "auth0|0"


def test_a_collector_over_tls_proves_who_it_is(monkeypatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    happen("opened")
    position = tmp_path / "position"
    with collector(tls) as (port, messages), pytest.raises(CommandError, match="certificate verify failed"):
        call_command("audit", "export", to=f"tls://localhost:{port}", position=position)
    assert (messages, position.exists()) == ([], False)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with collector(tls) as (port, messages):
        call_command("audit", "export", to=f"tls://localhost:{port}", position=position)
    assert len(messages) == SessionEvent.objects.count()
    assert int(position.read_text()) == SessionEvent.objects.latest("pk").pk


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_collector_that_hung_up_meanwhile_has_taken_nothing(scheme: str, monkeypatch, tmp_path: Path) -> None:
    """As it does when it is started anew, while `--follow` has nothing to tell."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            client, _ = server.accept()
            stream = tls.wrap_socket(client, server_side=True) if scheme == "tls" else client
            with stream:
                heard.append(stream.recv(100))

        thread = threading.Thread(target=take)
        thread.start()
        with forwarding.connect(f"{scheme}://localhost:{server.getsockname()[1]}") as collector:
            forwarding.send(collector, [b"{}"])
            thread.join(10)
            with pytest.raises(OSError, match=r"hung up|EOF"):
                forwarding.send(collector, [b"{}"])
    assert heard == [b"2 {}"]


def test_what_cannot_be_reached_is_said_and_nothing_counts_as_told(tmp_path: Path) -> None:
    happen("opened")
    position = tmp_path / "position"
    for target, said in (("tcp://127.0.0.1:1", "refused"), ("udp://127.0.0.1:514", "is not tcp"), ("here", "is not")):
        with pytest.raises(CommandError, match=said):
            call_command("audit", "export", to=target, position=position)
    assert not position.exists()
    with pytest.raises(CommandError, match="no end"):
        call_command("audit", "export", follow=True, until=NOW)
