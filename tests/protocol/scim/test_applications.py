"""Applications that provision (RFC 7523, scope `scim`): a client assertion gets the token, and the connection says whom it lets in."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from idp.crypto import keys
from idp.models import Application, Connection, Provisioning
from idp.scim import applications as provisioning_api
from idp.scim import tokens
from idp.tenants import configuration
from sessions_app.models import SessionEvent
from tests.protocol.scim.support import Scim, person
from tests.support.dpop import encode, new_key, signed
from tests.support.factories import make_application, make_connection
from tests.support.oauth import decode, header_of, issuer, post_form, token

pytestmark = pytest.mark.django_db
IPSIE = "IPSIE account lifecycle (SCIM), draft 00"
KEY, FOREIGN_KEY = new_key(), new_key()
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def machine(name: str, key: Any = KEY) -> Application:
    return make_application(
        name,
        app_type="non_interactive",
        grant_types=["client_credentials"],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
    )


@pytest.fixture
def hr(connection: Connection) -> Application:
    """Chosen at `connection`."""
    return chosen_at(connection, machine("HR"))


def chosen_at(connection: Connection, application: Application) -> Application:
    tokens.switch_on(connection, actor="admin:1", at=timezone.now()).applications.add(application)
    return application


def assertion(application: Application, key: Any = KEY, **changes: Any) -> str:
    now, client_id = int(time.time()), application.client_id
    said = {"iss": client_id, "sub": client_id, "aud": issuer(), "jti": uuid.uuid4().hex, "iat": now, "exp": now + 60}
    said = {name: value for name, value in (said | changes).items() if value is not None}
    return signed({"alg": "ES256", "typ": "JWT"}, said, key, "ES256")


def ask(proof: str, **params: Any) -> Any:
    body = {"client_assertion": proof, "client_assertion_type": ASSERTION_TYPE, "scope": "scim", **params}
    return post_form("/oauth/token", {"grant_type": "client_credentials", **body})


def token_of(application: Application) -> str:
    answer = ask(assertion(application))
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


@pytest.mark.spec(IPSIE, "AL1", "client_credentials with an RFC 7523 client assertion and exactly the scope scim")
def test_the_scope_alone_says_which_api(hr: Application, connection: Connection) -> None:
    answer = ask(assertion(hr)).json()
    assert (answer["token_type"], answer["scope"], answer["expires_in"]) == ("Bearer", "scim", 3600)
    said = decode(answer["access_token"])
    assert (said["aud"], said["client_id"], said["sub"]) == (f"{issuer()}scim/v2/", "hr", "hr@clients")
    assert header_of(answer["access_token"])["typ"] == "at+jwt"
    scim = Scim(connection, answer["access_token"])
    key = scim.add()
    assert scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": False}}).status == 200
    assert SessionEvent.objects.get(type="scim_deprovisioned").actor == "scim:acme-okta"
    assert Provisioning.objects.get().last_request_at is not None


class TestTheToken:
    @pytest.mark.parametrize("naming", ["audience", "resource"])
    def test_the_api_may_be_named_too(self, hr: Application, naming: str) -> None:
        for scope in ("scim", None):
            params = {naming: provisioning_api.audience()} | ({"scope": scope} if scope else {"scope": ""})
            assert ask(assertion(hr), **params).json()["scope"] == "scim"

    def test_a_secret_gets_one_too(self, connection: Connection) -> None:
        with_secret = make_application("Sync", app_type="non_interactive", grant_types=["client_credentials"])
        chosen_at(connection, with_secret)
        raw = token(with_secret, grant_type="client_credentials", scope="scim").json()["access_token"]
        assert Scim(connection, raw).get("/Users").status == 200

    def test_who_is_chosen_nowhere_gets_none(self, hr: Application) -> None:
        answer = ask(assertion(machine("Payroll", FOREIGN_KEY), FOREIGN_KEY))
        assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
        Provisioning.objects.update(enabled=False)
        assert ask(assertion(hr)).status_code == 403

    def test_other_scopes_get_none_of_it(self, hr: Application, connection: Connection) -> None:
        answer = ask(assertion(hr), audience=provisioning_api.audience(), scope="scim read:users")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
        raw = ask(assertion(hr), scope="read:users").json()["access_token"]
        assert Scim(connection, raw).get("/Users").status == 401


class TestAttacksOnTheAssertion:
    def test_it_is_good_for_once(self, hr: Application) -> None:
        proof = assertion(hr)
        assert ask(proof).status_code == 200
        refused(ask(proof))

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "https://other.example/"},
            {"aud": f"{settings.ISSUER}scim/v2/"},
            {"aud": None},
            {"exp": 1},
            {"exp": None},
            {"exp": 4102444800},
            {"jti": None},
            {"iss": "somebody-else"},
            {"nbf": 4102444800},
        ],
        ids=str,
    )
    def test_what_it_says_must_be_for_us_and_now(self, hr: Application, changes: dict[str, Any]) -> None:
        refused(ask(assertion(hr, **changes)))

    def test_it_is_signed_by_the_applications_own_key(self, hr: Application) -> None:
        refused(ask(assertion(hr, FOREIGN_KEY)))

    def test_another_application_cannot_speak_for_it(self, hr: Application) -> None:
        other = machine("Payroll", FOREIGN_KEY)
        refused(ask(assertion(other, FOREIGN_KEY, sub=hr.client_id)))
        refused(ask(assertion(other, FOREIGN_KEY), client_id=hr.client_id))

    @pytest.mark.parametrize("algorithm", ["none", "None", "HS256"])
    def test_without_a_signature_it_is_nothing(self, hr: Application, algorithm: str) -> None:
        head, body, signature = assertion(hr).split(".")
        head = encode(f'{{"alg":"{algorithm}","typ":"JWT"}}'.encode())
        for end in ("", signature):
            refused(ask(f"{head}.{body}.{end}"))


def refused(answer: Any) -> None:
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.content


class TestAttacksAtTheConnection:
    def test_the_application_of_another_connection_writes_nothing_here(self, scim: Scim, hr: Application) -> None:
        globex = make_connection("globex", "okta")
        chosen_at(globex, machine("Payroll", FOREIGN_KEY))
        raw = ask(assertion(Application.objects.get(name="Payroll"), FOREIGN_KEY)).json()["access_token"]
        assert Scim(globex, raw).get("/Users").status == 200
        here = Scim(scim.connection, raw)
        assert {here.get("/Users").status, here.post("/Users", person()).status} == {401}
        assert Scim(globex, token_of(hr)).get("/Users").status == 401

    def test_the_assertion_itself_is_no_token(self, hr: Application, connection: Connection) -> None:
        assert Scim(connection, assertion(hr)).get("/Users").status == 401

    def test_it_is_dead_at_once_when_somebody_takes_it_away(self, hr: Application, connection: Connection) -> None:
        scim = Scim(connection, token_of(hr))
        Application.objects.filter(pk=hr.pk).update(enabled=False)
        assert scim.get("/Users").status == 401
        Application.objects.filter(pk=hr.pk).update(enabled=True)
        assert scim.get("/Users").status == 200
        Provisioning.objects.get().applications.clear()
        assert scim.get("/Users").status == 401

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "https://api.example.com/"},
            {"aud": [f"{settings.ISSUER}scim/v2/", "https://api.example.com/"]},
            {"scope": "openid"},
            {"scope": "scim:read"},
            {"sub": "auth0|0123456789abcdef01234567"},
            {"cnf": {"jkt": "x"}},
            {"exp": 1},
            {"exp": "tomorrow"},
            {"client_id": "nobody", "sub": "nobody@clients"},
            {"client_id": None},
            {"iss": "https://other.example/"},
        ],
        ids=str,
    )
    def test_only_a_living_token_for_this_and_of_itself(
        self, hr: Application, connection: Connection, changes: dict[str, Any]
    ) -> None:
        """Each is signed by our own key, as a token for something else would be."""
        assert Scim(connection, ours(hr)).get("/Users").status == 200
        assert Scim(connection, ours(hr, **changes)).get("/Users").status == 401

    def test_an_id_token_is_none(self, hr: Application, connection: Connection) -> None:
        assert Scim(connection, ours(hr, typ="JWT", nonce="n", at_hash="x")).get("/Users").status == 401
        assert Scim(connection, ours(hr, typ="logout+jwt")).get("/Users").status == 401

    def test_it_expires(self, hr: Application, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        scim = Scim(connection, token_of(hr))
        later = timezone.now() + timedelta(seconds=provisioning_api.LIFETIME + 1)
        monkeypatch.setattr("idp.scim.endpoint.timezone.now", lambda: later)
        assert scim.get("/Users").status == 401

    def test_wrong_ones_are_counted_with_the_others(self, hr: Application, connection: Connection) -> None:
        wrong, right = Scim(connection, ours(hr, scope="x")), Scim(connection, token_of(hr))
        assert {wrong.get("/Users").status for _ in range(100)} == {401}
        assert wrong.get("/Users").status == 429
        assert right.get("/Users").status == 200


def ours(application: Application, *, typ: str = "at+jwt", **changes: Any) -> str:
    now, client_id = int(time.time()), application.client_id
    said = {
        "iss": issuer(),
        "aud": f"{issuer()}scim/v2/",
        "client_id": client_id,
        "sub": f"{client_id}@clients",
        "scope": "scim",
        "iat": now,
        "exp": now + 600,
        "jti": uuid.uuid4().hex,
    }
    said = {name: value for name, value in (said | changes).items() if value is not None}
    return keys.sign_with(keys.active("RS256", configuration.current()), said, typ=typ)


def test_the_announced_address_is_the_audience_of_all_connections(connection: Connection) -> None:
    assert provisioning_api.base_url(connection).startswith(provisioning_api.audience())
