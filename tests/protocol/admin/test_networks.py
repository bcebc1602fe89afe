"""The admin is there for the networks that the settings name, and for nobody else."""

import pytest
from django.test import Client

from tests.support.factories import browser, make_session, make_user

pytestmark = pytest.mark.django_db
OFFICE, ELSEWHERE = "192.0.2.7", "203.0.113.9"
PAGES = ["/admin/", "/admin/login/", "/admin/idp/user/", "/admin/logout/", "/admin/nothing/"]


@pytest.fixture
def administrator() -> Client:
    return browser(make_session(make_user("admin@fabrikamcorp.com", is_staff=True, is_superuser=True)))


@pytest.fixture
def office(settings):
    settings.ADMIN_NETWORKS = ["192.0.2.0/24"]


@pytest.mark.parametrize("peer", [ELSEWHERE, f"::ffff:{ELSEWHERE}", "2001:db8::1", ""])
def test_from_another_network_there_is_no_admin(office, administrator, peer):
    """Signed in or not, and no page tells whether it exists."""
    for client in (Client(), administrator):
        for path in PAGES:
            assert client.get(path, REMOTE_ADDR=peer).status_code == 404
            assert client.post(path, REMOTE_ADDR=peer).status_code == 404
    assert administrator.get("/", REMOTE_ADDR=ELSEWHERE).status_code == 200


def test_a_header_that_a_client_makes_up_does_not_help(office, administrator):
    answer = administrator.get("/admin/", REMOTE_ADDR=ELSEWHERE, headers={"X-Forwarded-For": OFFICE})
    assert answer.status_code == 404


@pytest.mark.parametrize("peer", [OFFICE, f"::ffff:{OFFICE}"])
def test_from_the_named_network_the_admin_is_there(office, administrator, peer):
    assert administrator.get("/admin/", REMOTE_ADDR=peer).status_code == 200
    assert Client().get("/admin/", REMOTE_ADDR=peer)["Location"].startswith("/")


def test_behind_a_trusted_proxy_the_client_counts(office, settings, administrator):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    asked = {"REMOTE_ADDR": "10.0.0.1"}
    assert administrator.get("/admin/", headers={"X-Forwarded-For": OFFICE}, **asked).status_code == 200
    assert administrator.get("/admin/", headers={"X-Forwarded-For": ELSEWHERE}, **asked).status_code == 404


@pytest.mark.parametrize("said", [f"{ELSEWHERE}:51008", "unknown", "_hidden", "", "192.0.2", f"{OFFICE}, ?"])
def test_what_the_proxy_says_of_a_stranger_is_never_the_proxys_own_address(office, settings, administrator, said):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.ADMIN_NETWORKS = [*settings.ADMIN_NETWORKS, "10.0.0.0/8"]
    answer = administrator.get("/admin/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": said})
    assert answer.status_code == 404
    answer = administrator.get("/admin/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": f"{OFFICE}:443"})
    assert answer.status_code == 200


def test_without_the_setting_the_admin_is_there_for_all(administrator):
    assert administrator.get("/admin/", REMOTE_ADDR=ELSEWHERE).status_code == 200
