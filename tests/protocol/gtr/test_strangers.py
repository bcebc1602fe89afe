"""What people who are no identity provider can do to the traces of one that is (14.D7)."""

from __future__ import annotations

import pytest
from django.test import Client

from idp.limits import limiter
from idp.models import LimiterSlot
from logout_app.gtr import revocation
from logout_app.models import RevocationRequest
from sessions_app.models import SessionEvent
from tests.support.upstreams.scripted_oidc import rsa_key

pytestmark = pytest.mark.django_db
NETWORKS = [f"198.51.100.{number}" for number in range(1, 9)]


@pytest.fixture
def flooded(okta, ann, monkeypatch):
    """From many networks at once more forged tokens than are kept in an hour."""
    monkeypatch.setattr(revocation, "KEPT", limiter.Limit("gtr-kept", 6, 3600))
    forged = okta.token(key=rsa_key("attacker"))
    for address in NETWORKS:
        headers = {"Authorization": f"Bearer {forged}"}
        answer = Client().post(okta.path, "{}", "application/json", headers=headers, REMOTE_ADDR=address)
        assert answer.status_code == 401
    assert RevocationRequest.objects.count() == 6


def test_a_refusal_of_what_the_providers_own_key_signed_is_kept_whatever_strangers_send(okta, flooded):
    assert okta.revoke("00uann", aud="https://elsewhere.example/").status_code == 401
    kept = RevocationRequest.objects.latest("pk")
    assert kept.status == 401
    assert "its aud is not the URL of this endpoint" in kept.reason
    assert okta.revoke("nobody").status_code == 404
    assert RevocationRequest.objects.latest("pk").status == 404
    assert SessionEvent.objects.filter(type="universal_logout_failed").count() == 8


def test_a_refusal_from_where_the_provider_came_from_before_is_kept(okta, flooded):
    """It rotated its key and we cannot know that yet: nothing in such a request tells it from a forged one."""
    token = okta.token(key=rsa_key("not-published-yet"))
    send = {"headers": {"Authorization": f"Bearer {token}"}, "REMOTE_ADDR": "203.0.113.9"}
    Client().post(okta.path, "{}", "application/json", **send)
    assert RevocationRequest.objects.count() == 6
    RevocationRequest.objects.create(connection=okta.connection, status=204, ip="203.0.113.9")
    Client().post(okta.path, "{}", "application/json", **send)
    kept = RevocationRequest.objects.latest("pk")
    assert (kept.status, kept.ip) == (401, "203.0.113.9")


def test_one_network_fills_its_own_part_only(okta, ann, monkeypatch):
    monkeypatch.setattr(revocation, "KEPT_OF_NETWORK", limiter.Limit("gtr-network", 2, 3600))
    for address in (NETWORKS[0],) * 5 + (NETWORKS[1],):
        headers = {"Authorization": f"Bearer {okta.token(key=rsa_key('attacker'))}"}
        Client().post(okta.path, "{}", "application/json", headers=headers, REMOTE_ADDR=address)
    assert list(RevocationRequest.objects.order_by("pk").values_list("ip", flat=True)) == [NETWORKS[0]] * 2 + [
        NETWORKS[1]
    ]


def test_invented_names_of_connections_make_no_rows_without_end(okta, ann):
    def send(name: str) -> int:
        path = f"/oauth/global-token-revocation/connection/{name}"
        return okta.post(okta.subject_of("00uann"), okta.token(), path=path).status_code

    assert send("invented") == 401
    before = LimiterSlot.objects.count()
    assert {send(f"invented-{number}") for number in range(30)} == {401}
    assert LimiterSlot.objects.count() == before


def test_who_fails_too_often_learns_nothing_about_which_connections_exist(okta, ann, monkeypatch):
    """A limit of its own for names that do not exist would tell them from those that do."""
    monkeypatch.setattr(revocation, "FAILURES", limiter.Limit("gtr", 3, 300))
    path = "/oauth/global-token-revocation/connection/invented"
    forged = okta.token(key=rsa_key("attacker"))
    assert [okta.post({}, forged, path=path).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert okta.post({}, forged).status_code == 429
    assert okta.revoke("00uann").status_code == 204
