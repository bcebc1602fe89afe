"""*Test provisioning*: what an administrator learns of the identity provider's first questions, without one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.urls import reverse
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from idp.connections.checks import Finding
from idp.http.requests import RequestFacts
from idp.models import Connection, ProvisionedUser, Provisioning, ProvisioningToken
from idp.scim import check, tokens
from tests.protocol.scim.support import Scim
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def nobody_at_the_address(settings: LazySettings) -> None:
    settings.ISSUER = "http://localhost:9/"


def found(raw: str = "") -> list[Finding]:
    return check.check(Provisioning.objects.get(), raw, RequestFacts(), timezone.now())


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


@pytest.mark.usefixtures("nobody_at_the_address")
class TestWithoutAToken:
    def test_each_living_credential_is_asked_for_what_it_may_read(self, scim: Scim) -> None:
        scim.add()
        Provisioning.objects.get().applications.add(make_application("HR"))
        before = list(ProvisionedUser.objects.values())
        arrives, by_token, by_application = found()
        assert arrives.level == "warning"
        name = ProvisioningToken.objects.get().token_id
        gets = "an identity provider gets what Curfew can do, a list of people, a search by name: 1 person."
        assert by_token == Finding("ok", f"With {name} {gets}")
        assert by_application == Finding("ok", f"As HR, {gets}")
        assert list(ProvisionedUser.objects.values()) == before

    def test_a_token_that_may_not_read_fails_as_it_would_there(self, scim: Scim) -> None:
        ProvisioningToken.objects.update(scopes=["post:users"])
        assert levels(found()) == ["warning", "error", "warning"]
        assert "/Users is answered with 403: The token does not have the scope get:users." in found()[1].text

    def test_without_any_credential_nobody_can_write(self, connection: Connection) -> None:
        tokens.switch_on(connection, actor="admin:1", at=timezone.now())
        assert "Nobody can write" in found()[1].text

    def test_what_expires_and_what_has_is_told(self, scim: Scim) -> None:
        scim.get("/Users")
        at = timezone.now()
        ProvisioningToken.objects.update(valid_until=at + timedelta(days=29))
        assert [finding.expires for finding in found()] == [False, False, True]
        ProvisioningToken.objects.update(valid_until=at + timedelta(days=31))
        assert levels(found()) == ["warning", "ok"]
        ProvisioningToken.objects.update(valid_until=at)
        assert levels(found()) == ["warning", "error", "warning"]
        assert "has expired" in found()[2].text

    def test_a_required_group_that_is_not_there_keeps_everybody_out(self, scim: Scim) -> None:
        Provisioning.objects.update(required_group="Staff")
        assert "No group Staff was provisioned" in found()[-1].text
        scim.add_group("Staff")
        assert "Staff" not in str(found())

    def test_a_disabled_connection_is_told(self, scim: Scim) -> None:
        Connection.objects.update(enabled=False)
        assert "The connection is disabled" in str(found())


@pytest.mark.django_db(transaction=True)
class TestFromOutside:
    @pytest.fixture
    def outside(self, live_server: LiveServer, settings: LazySettings, loopback_upstreams: None) -> None:
        settings.ISSUER = f"{live_server.url}/"

    def test_a_token_gets_what_its_identity_provider_would(self, outside: None, scim: Scim) -> None:
        scim.add()
        scim.add("ben@acme.example")
        arrives, answered = found(scim.token)
        assert (arrives.level, answered.level) == ("ok", "ok")
        assert arrives.text.endswith("arrives; without a token it was refused, as it must be.")
        assert answered.text.endswith("a search by name: 2 people.")

    def test_a_wrong_one_and_one_of_another_connection_are_refused(self, outside: None, scim: Scim) -> None:
        other = tokens.switch_on(make_connection("globex", "okta"), actor="admin:1", at=timezone.now())
        foreign = tokens.create(other, actor="admin:1", at=timezone.now()).raw
        provisioning = Provisioning.objects.get(connection=scim.connection)
        for raw, status in (("tok_wrong", 401), (foreign, 403)):
            findings = check.check(provisioning, raw, RequestFacts(), timezone.now())
            assert findings[1].level == "error"
            assert f"/ServiceProviderConfig is answered with {status}" in findings[1].text

    def test_something_else_at_the_address_is_an_error(
        self, live_server: LiveServer, settings: LazySettings, loopback_upstreams: None, scim: Scim
    ) -> None:
        settings.ISSUER = f"{live_server.url}/login/"
        assert "not by us" in found()[0].text

    def test_the_page_asks_and_does_not_show_the_token(self, outside: None, scim: Scim) -> None:
        admin = browser(make_session(make_user("root@fabrikamcorp.com", is_staff=True, is_superuser=True)))
        shown = page(admin, scim.connection)
        url = reverse("admin:idp_connection_act", args=(scim.connection.pk, "test-provisioning"))
        assert f'<a href="{url}">Test provisioning</a>' in shown
        assert "Nothing is written." in admin.get(url).content.decode()
        answer = admin.post(url, {"token": f" {scim.token} "}).content.decode()
        assert "With this token an identity provider gets" in answer
        assert scim.token not in answer


def page(admin: Any, connection: Connection) -> str:
    return str(admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode())


def test_the_test_is_offered_where_provisioning_is_on(scim: Scim) -> None:
    admin = browser(make_session(make_user("root@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    tokens.switch_off(Provisioning.objects.get(), actor="admin:1", at=timezone.now())
    assert "Test provisioning" not in page(admin, scim.connection)
    never = page(admin, make_connection("globex", "okta"))
    assert "Press <em>Turn on provisioning</em>" in never
    assert "Give the issuer of security events" in never
    database = page(admin, make_connection())
    assert "<h2>Provisioning</h2>" not in database
    assert "<h2>Shared Signals</h2>" not in database
