"""Directories that are away, hang, lie about who they are, or send us elsewhere: nobody waits longer than five seconds."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.utils import timezone

from idp.connections import places, registry
from idp.connections.contract import UpstreamFault
from idp.connections.ldap import check, directory
from idp.models import LimiterSlot
from idp.outbound import gate
from idp.outbound.gate import Gate
from idp.processes import role
from idp.processes.role import ProcessRole
from idp.protocol.errors import TemporarilyUnavailable
from tests.protocol.connections_ldap.conftest import change, connect
from tests.support.processes import free_port
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form
from tests.support.upstreams.slapd import ADMIN, ADMIN_PASSWORD, PASSWORD, SUFFIX, Slapd

pytestmark = pytest.mark.once


def verify(connection, login="mary", password=PASSWORD):
    return registry.PASSWORD_PROTOCOLS["ad"].verify(connection, login, password, timezone.now())


@contextlib.contextmanager
def took_at_most(seconds):
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


@contextlib.contextmanager
def listener(answer=b""):
    """A server that takes connections, says `answer` over and over, slowly, and counts its visitors."""
    visitors, stop = [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def serve():
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    visitors.append(server.accept()[0])
                for visitor in visitors:
                    with contextlib.suppress(OSError):
                        visitor.send(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], visitors
        finally:
            stop.set()
            thread.join()
            for visitor in visitors:
                visitor.close()


def test_the_next_server_answers_when_the_first_is_away(plain, openldap):
    away = f"ldaps://127.0.0.1:{free_port()}"
    change(plain, servers=[away, openldap.ldaps])
    with took_at_most(2):
        assert verify(plain) is not None


def test_a_server_that_failed_is_left_alone_for_a_while(plain, openldap):
    with listener() as (port, visitors):
        change(plain, servers=[f"ldaps://127.0.0.1:{port}", openldap.ldaps])
        with took_at_most(4):
            assert verify(plain) is not None
        with took_at_most(1):
            assert verify(plain) is not None
        assert len(visitors) == 1


@pytest.mark.parametrize("paused_at", ["start", "StartTLS"])
def test_a_directory_that_hangs_ends_in_five_seconds_with_a_clear_message(plain, openldap, paused_at):
    """F-U03."""
    if paused_at == "StartTLS":
        change(plain, servers=[openldap.ldap], start_tls=True)
    with openldap.paused(), took_at_most(5.5), pytest.raises(UpstreamFault) as fault:
        verify(plain)
    assert "did not answer in time" in fault.value.reason
    assert "127.0.0.1" not in fault.value.sentence


def test_a_directory_that_drips_ends_in_five_seconds(plain):
    """Each read succeeds in time; together they would never end."""
    with listener(b"0") as (port, _):
        change(plain, servers=[f"ldap://127.0.0.1:{port}"], start_tls=True)
        with took_at_most(5.5), pytest.raises(UpstreamFault):
            verify(plain)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x01", b"\xff" * 64]
)
def test_a_server_that_speaks_something_else_is_a_sentence(plain, answer):
    with listener(answer) as (port, _):
        change(plain, servers=[f"ldap://127.0.0.1:{port}"], start_tls=True)
        with took_at_most(5.5), pytest.raises(UpstreamFault, match=f"ldap://127.0.0.1:{port}"):
            verify(plain)


def test_while_a_directory_hangs_others_learn_it_at_once(plain, openldap):
    """F-U03: threads are left for signing out. One sign-in probes, the rest do not wait for it."""
    with openldap.paused():
        with pytest.raises(UpstreamFault):
            verify(plain)
        with ThreadPoolExecutor(1) as pool:
            options = directory.options_of(plain)
            with directory._cool_downs.candidates(options) as probe:
                assert probe == options.servers
                with took_at_most(1), pytest.raises(UpstreamFault, match="none of its servers answered"):
                    verify(plain)
            pool.shutdown()
    assert verify(plain) is not None


def test_only_so_many_sign_ins_ask_a_directory_at_once(plain, monkeypatch):
    monkeypatch.setattr(role, "_now", ProcessRole.WEB)
    monkeypatch.setattr(gate, "_gate", Gate(2))
    with ThreadPoolExecutor(1) as pool, somebody_waits(pool), took_at_most(1), pytest.raises(TemporarilyUnavailable):
        verify(plain)
    assert verify(plain) is not None


@contextlib.contextmanager
def somebody_waits(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Another thread has the only place."""
    began, over = threading.Event(), threading.Event()

    def wait() -> None:
        with places.turn():
            began.set()
            over.wait(10)

    waiting = pool.submit(wait)
    assert began.wait(10)
    try:
        yield
    finally:
        over.set()
        waiting.result()


def test_a_directory_that_is_away_costs_nobody_an_attempt(plain):
    change(plain, servers=[f"ldaps://127.0.0.1:{free_port()}"])
    client = csrf_client()
    for _ in range(3):
        response = sign_in_by_form(client, "mary", PASSWORD)
        assert "does not work at the moment" in response.content.decode()
    assert session_of(client) is None
    assert not LimiterSlot.objects.filter(count__gt=0).exists()


def test_a_certificate_of_an_unknown_authority_is_not_trusted(plain, domain):
    change(plain, ca_certificate=domain.ca)
    with pytest.raises(UpstreamFault, match="certificate that is not trusted"):
        verify(plain)
    change(plain, ca_certificate="")
    with pytest.raises(UpstreamFault, match="certificate that is not trusted"):
        verify(plain)


@pytest.mark.parametrize("start_tls", [False, True])
def test_a_certificate_of_another_host_is_not_trusted(plain, openldap, start_tls):
    port = openldap.port if start_tls else openldap.tls_port
    change(plain, servers=[f"{'ldap' if start_tls else 'ldaps'}://localhost:{port}"], start_tls=start_tls)
    with pytest.raises(UpstreamFault, match="certificate that is not trusted: Hostname mismatch"):
        verify(plain)


def test_addresses_that_the_operator_did_not_open_are_not_dialled(plain, settings):
    settings.OUTBOUND_ALLOW = []
    with listener() as (port, visitors):
        change(plain, servers=[f"ldaps://127.0.0.1:{port}", f"ldaps://localhost:{port}"])
        with pytest.raises(UpstreamFault, match=r"not a public address \(CURFEW_OUTBOUND_ALLOW\)"):
            verify(plain)
        assert visitors == []


def test_a_name_that_does_not_resolve_is_a_sentence(plain):
    change(plain, servers=["ldaps://no-such-host.invalid"])
    with took_at_most(5.5), pytest.raises(UpstreamFault, match="resolve"):
        verify(plain)


def test_a_referral_is_followed_by_nobody(plain, tmp_path):
    """As an entry below the base, and as the answer for the whole base. The canary sees no connection."""
    with listener() as (port, visitors):
        evil = f"ldap://127.0.0.1:{port}"
        server = Slapd(tmp_path / "s", extra=f'referral "{evil}"')
        try:
            server.change(
                f"dn: cn=elsewhere,{SUFFIX}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\n"
                f"cn: elsewhere\nref: {evil}/dc=evil\n"
            )
            change(plain, servers=[server.ldaps], ca_certificate=server.ca)
            assert verify(plain) is not None
            change(plain, base_dn="dc=elsewhere,dc=test")
            with pytest.raises(UpstreamFault, match="referrals are not followed"):
                verify(plain)
        finally:
            server.stop()
        assert visitors == []


def test_the_test_of_a_connection_says_what_works(plain, openldap):
    levels = [finding.level for finding in check.check(plain)]
    texts = " ".join(finding.text for finding in check.check(plain))
    assert levels == ["ok", "ok"]
    assert "its certificate is trusted and ends on" in texts
    assert f"{ADMIN} finds people below {SUFFIX}" in texts


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_dn": f"ou=nowhere,{SUFFIX}"}, "has no entry ou=nowhere"),
        ({"user_filter": "(employeeNumber={login})"}, "finds nobody below"),
        ({"ca_certificate": ""}, "not trusted"),
        ({"servers": ["ldaps://127.0.0.1:1"]}, "cannot be reached"),
        ({"servers": []}, "servers is missing"),
        ({"bind_dn": f"cn=nobody,{SUFFIX}"}, "refuses the service account"),
    ],
)
def test_the_test_of_a_connection_says_what_does_not(plain, options, says):
    change(plain, **options)
    errors = [finding.text for finding in check.check(plain) if finding.level == "error"]
    assert len(errors) == 1
    assert says in errors[0]
    assert ADMIN_PASSWORD not in errors[0]


def test_a_certificate_that_ends_soon_is_a_warning(plain, monkeypatch):
    monkeypatch.setattr(check, "SOON", check.timedelta(days=10_000_000))
    assert [finding.level for finding in check.check(plain)] == ["warning", "ok"]


def test_an_anonymous_search_is_a_warning(openldap, db):
    anonymous = connect("Open", servers=[openldap.ldaps], ca_certificate=openldap.ca, base_dn=SUFFIX)
    assert [finding.level for finding in check.check(anonymous)] == ["ok", "ok", "warning"]
