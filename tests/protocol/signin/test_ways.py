"""Which ways to sign in the login page offers, and where it goes by itself."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client

from idp.connections import registry
from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.models import Connection, LimiterSlot
from sessions_app.models import SessionEvent
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import answer_of, request_params
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form
from tests.support.upstream import URL, come_back, depart, sign_in, state_of

pytestmark = pytest.mark.django_db


def authorize(application, **changes) -> str:
    return f"/authorize?{urlencode(request_params(application, **changes))}"


def page(response) -> str:
    return response.content.decode()


def goes_upstream(response) -> bool:
    return response.status_code == 303 and response["Location"].startswith(URL)


@pytest.fixture
def fabrikam() -> Connection:
    return make_connection()


class TestWhatIsOffered:
    def test_a_password_form_and_a_button_for_each_connection_upstream(self, acme, fabrikam):
        make_connection("Zenith", "oidc", icon_url="https://zenith.example/icon.png")
        body = page(Client().get("/login"))
        assert body.index('name="password"') < body.index("Continue with Acme Login") < body.index("Zenith")
        assert 'href="/login/upstream/Acme?next=%2F"' in body
        assert 'src="https://zenith.example/icon.png"' in body
        assert body.count('type="submit"') == 1
        assert body.count('class="divider"') == 1

    def test_only_connections_of_the_application(self, acme, fabrikam):
        row = make_connection("Zenith", "oidc", enabled_for_all=False)
        mine, other = make_application("Mine"), make_application("Other")
        row.enabled_clients.add(mine)
        make_connection("Gone", "oidc", enabled=False)
        assert "Zenith" in page(Client().get("/login", {"next": authorize(mine)}))
        body = page(Client().get("/login", {"next": authorize(other)}))
        assert "Zenith" not in body
        assert "Gone" not in body

    def test_without_any_the_page_says_so(self):
        response = Client().get("/login")
        assert response.status_code == 403
        assert "No way to sign in" in page(response)

    def test_buttons_alone_need_no_form(self, acme):
        make_connection("Zenith", "oidc")
        body = page(Client().get("/login"))
        assert "<form" not in body
        assert "Forgot your password" not in body
        assert 'class="divider"' not in body

    def test_a_strategy_that_nothing_speaks_is_not_offered(self, fabrikam, monkeypatch):
        monkeypatch.delitem(registry.REDIRECT_PROTOCOLS, "adfs", raising=False)
        make_connection("Legacy", "adfs")
        assert "Legacy" not in page(Client().get("/login"))

    def test_what_was_used_last_comes_first_and_says_so(self, acme, fabrikam):
        make_connection("Aardvark", "oidc")
        client = Client()
        sign_in(client)
        cookie = client.cookies[settings.LAST_CONNECTION_COOKIE_NAME]
        assert cookie.value == "Acme"
        del client.cookies[settings.SSO_COOKIE_NAME]
        body = page(client.get("/login"))
        assert body.count("Last used") == 1
        assert body.index("Acme Login") < body.index("Last used") < body.index("Aardvark") < body.index("<form")
        sign_in_by_form(client, make_user().email)
        assert client.cookies[settings.LAST_CONNECTION_COOKIE_NAME].value == "FabrikamAD"

    @pytest.mark.parametrize("value", ["Nobody", "<b>", "x" * 4000])
    def test_a_made_up_cookie_changes_nothing(self, acme, fabrikam, value):
        client = Client()
        client.cookies[settings.LAST_CONNECTION_COOKIE_NAME] = value
        response = client.get("/login")
        assert response.status_code == 200
        assert "Last used" not in page(response)


class TestStraightThere:
    def test_the_only_connection_is_gone_to_at_once(self, acme):
        client = Client()
        target = authorize(make_application(), login_hint="mary@acme.example", prompt="login")
        to_login = client.get(target)
        departs = client.get(to_login["Location"])
        assert goes_upstream(departs)
        assert acme.wishes[0].login_hint == "mary@acme.example"
        assert acme.wishes[0].force
        back = come_back(client, state_of(departs))
        assert "code" in answer_of(client.get(back["Location"]))

    def test_not_when_a_choice_was_asked_for(self, acme):
        assert "Continue with Acme" in page(Client().get("/login", {"choose": "1"}))

    def test_not_just_after_signing_out(self, acme):
        client = browser(make_session(make_user("a@b.example", make_connection("Db", enabled=False))))
        client.get("/v2/logout", headers={"Sec-Fetch-Dest": "document"})
        assert "Continue with Acme" in page(client.get("/login"))
        named = client.get("/login", {"next": authorize(make_application(), connection="Acme")})
        assert goes_upstream(named)

    def test_an_upstream_that_is_away_is_a_page_and_no_loop(self, acme, fabrikam):
        acme.departing = UpstreamFault("down")
        target = authorize(make_application(), connection="Acme")
        response = Client().get("/login", {"next": target})
        assert response.status_code == 502
        other = f"/login?{urlencode({'next': target, 'choose': '1'})}".replace("&", "&amp;")
        assert other in page(response)
        assert 'name="password"' in page(Client().get("/login", {"next": target, "choose": "1"}))

    def test_the_application_names_the_connection(self, acme, fabrikam):
        assert goes_upstream(Client().get("/login", {"next": authorize(make_application(), connection="Acme")}))
        body = page(Client().get("/login", {"next": authorize(make_application("Two"), connection="FabrikamAD")}))
        assert "Acme" not in body

    def test_a_name_that_nobody_has_is_ignored(self, acme, fabrikam):
        application = make_application()
        for name in ("Nobody", "a\0b", "../x", "Acme\n"):
            body = page(Client().get("/login", {"next": authorize(application, connection=name)}))
            assert "Continue with Acme" in body
            body = page(Client().get("/login", {"only": name}))
            assert "Continue with Acme" in body

    def test_a_session_of_another_connection_is_replaced_when_one_is_named(self, acme, fabrikam):
        application = make_application()
        client = browser(make_session(make_user(), application))
        target = authorize(application, connection="Acme")
        to_login = client.get(target)
        back = come_back(client, state_of(client.get(to_login["Location"])))
        assert "code" in answer_of(client.get(back["Location"]))
        assert session_of(client).connection.name == "Acme"


class TestHomeRealm:
    @pytest.fixture
    def claimed(self, acme) -> None:
        Connection.objects.filter(name="Acme").update(options={"domain_aliases": ["acme.example", "Acme.TEST"]})

    def go_on(self, response) -> str:
        assert response.status_code == 200
        body = page(response)
        start = body.split('content="0; url=')[1].split('"')[0].replace("&amp;", "&")
        assert start.startswith("/login/upstream/Acme?")
        return start

    @pytest.mark.parametrize("address", ["mary@acme.example", "Mary@ACME.test "])
    @pytest.mark.parametrize("password", ["", PASSWORD])
    def test_an_address_of_the_organisation_leads_there_without_a_password(
        self, acme, claimed, fabrikam, address, password
    ):
        client = csrf_client()
        target = authorize(make_application())
        response = sign_in_by_form(client, address, password, next=target)
        assert goes_upstream(departs := client.get(self.go_on(response)))
        assert acme.wishes[0].login_hint == address.strip()
        assert come_back(client, state_of(departs))["Location"] == target

    def test_other_addresses_need_their_password(self, claimed, fabrikam):
        make_user()
        client = csrf_client()
        assert "Enter your password" in page(sign_in_by_form(client, password=""))
        assert "E-mail address or password is wrong" in page(sign_in_by_form(client, "nobody@acme.example.evil"))
        assert sign_in_by_form(client)["Location"] == "/"

    def test_the_field_may_stay_empty_only_where_addresses_are_claimed(self, acme, fabrikam):
        def password_field() -> str:
            return page(Client().get("/login")).split('name="password"')[1].split(">")[0]

        assert "required" in password_field()
        Connection.objects.get(name="Acme").delete()
        make_connection("Acme", "oidc", options={"domain_aliases": ["acme.example"]})
        assert "required" not in password_field()

    def test_without_passwords_the_address_alone_is_asked_for(self, acme, claimed):
        make_connection("Zenith", "oidc")
        client = csrf_client()
        body = page(client.get("/login"))
        assert 'name="username"' in body
        assert 'name="password"' not in body
        self.go_on(sign_in_by_form(client, "mary@acme.example"))
        response = sign_in_by_form(client, "mary@elsewhere.example")
        assert response.status_code == 400
        assert "No organisation here uses this address" in page(response)

    def test_the_connection_that_a_page_is_for_is_not_left(self, claimed, fabrikam):
        user = make_user("ops@acme.example")
        client = csrf_client()
        body = page(client.get("/login", {"only": "FabrikamAD"}))
        assert 'name="only" value="FabrikamAD"' in body
        assert "Acme" not in body
        assert sign_in_by_form(client, user.email, only="FabrikamAD")["Location"] == "/"

    def test_aliases_of_an_application_that_may_not_use_the_connection_lead_nowhere(self, claimed, fabrikam):
        row = Connection.objects.get(name="Acme")
        row.enabled_for_all = False
        row.save()
        client = csrf_client()
        response = sign_in_by_form(client, "mary@acme.example", next=authorize(make_application()))
        assert "password is wrong" in page(response)


class TestDirectories:
    """What a password protocol that asks somebody else may answer."""

    @pytest.fixture
    def directory(self, monkeypatch):
        class Directory:
            error: Exception = UpstreamRefused("Your password has expired.", detail="data 532")

            def verify(self, *args):
                raise self.error

        says = Directory()
        monkeypatch.setitem(registry.PASSWORD_PROTOCOLS, "ad", says)
        make_connection("Corp", "ad")
        return says

    def test_a_refusal_is_read_above_the_form(self, directory):
        response = sign_in_by_form(csrf_client(), "mary")
        assert response.status_code == 200
        assert "Your password has expired." in page(response)
        assert 'value="mary"' in page(response)
        assert PASSWORD not in page(response)
        assert SessionEvent.objects.get().type == "sign_in_failed"

    def test_a_directory_that_is_away_costs_no_attempt(self, directory):
        directory.error = UpstreamFault("no server answers", status=504)
        for _ in range(30):
            response = sign_in_by_form(csrf_client(), "mary")
            assert response.status_code == 504
        assert "does not work at the moment" in page(response)
        assert "no server" not in page(response)
        assert not LimiterSlot.objects.filter(count__gt=0).exists()


def test_a_repeated_parameter_is_refused(fabrikam):
    for query in ("next=/&next=/", "only=a&only=b", "choose=1&choose=1"):
        assert Client().get(f"/login?{query}").status_code == 400


def test_pages_of_the_way_keep_the_opener_of_a_popup(acme, fabrikam):
    client = Client()
    acme.error = UpstreamRefused("No.")
    pages = [client.get("/login"), client.get("/login/upstream/Acme"), come_back(client, depart(client))]
    assert [answer["Cross-Origin-Opener-Policy"] for answer in pages] == ["unsafe-none"] * 3
