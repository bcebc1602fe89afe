"""A12.11: strangers name keys whose server hangs. Of the web server's threads a share waits for it, whoever asks for what."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from idp.models import Connection
from tests.faults.test_directory_faults import OUT, sign_out
from tests.faults.test_provider_faults import depart
from tests.protocol.gtr.support import Okta
from tests.support.factories import make_application, make_session, make_user
from tests.support.processes import Installation
from tests.support.upstreams.scripted_oidc import CLIENT, ScriptedProvider, rsa_key

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]
STRANGER = rsa_key("attacker")
Send = Callable[[str, ScriptedProvider, Connection, int], requests.Response]


def revocation(address: str, provider: ScriptedProvider, connection: Connection, number: int) -> requests.Response:
    okta = Okta(provider.issuer, CLIENT, connection, provider.keys[0])
    audience = f"{address}{okta.path}"
    token = okta.token(key=STRANGER, header={"kid": f"made-up-{number}"}, aud=audience)
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(audience, json=okta.subject_of("ann"), headers=headers, timeout=30)


def logout_token(address: str, provider: ScriptedProvider, connection: Connection, number: int) -> requests.Response:
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    token = provider.id_token(key=STRANGER, header={"kid": f"made-up-{number}"}, events=event, jti=str(number), sid="s")
    url = f"{address}/backchannel-logout/{connection.name}"
    return requests.post(url, {"logout_token": token}, timeout=30)


def assertion(address: str, provider: ScriptedProvider, connection: Connection, number: int) -> requests.Response:
    now = int(time.time())
    claims = {"iss": "signer", "sub": "signer", "aud": f"{address}/", "exp": now + 60, "jti": str(number)}
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": provider.id_token(key=STRANGER, **claims),
    }
    return requests.post(f"{address}/oauth/token", form, timeout=30)


@pytest.mark.parametrize("send", [revocation, logout_token, assertion])
def test_forged_tokens_whose_key_set_hangs_keep_nobody_from_signing_out_or_in(
    send: Send, installation: Installation
) -> None:
    with ScriptedProvider() as hanging, ScriptedProvider() as fine, ThreadPoolExecutor(16) as pool:
        for name, provider in (("Hanging", hanging), ("Fine", fine)):
            options = {"discovery_url": provider.discovery_url, "client_id": CLIENT}
            connection = Connection.objects.create(name=name, strategy="okta", options=options)
        connection = Connection.objects.get(name="Hanging")
        make_application("Signer", client_id="signer", token_endpoint_auth_method="private_key_jwt",
                         jwks_uri=f"{hanging.issuer}/jwks")  # fmt: skip
        application = make_application("App", post_logout_redirect_uris=OUT)
        sessions = [make_session(make_user(f"p{number}@fabrikamcorp.com"), application) for number in range(4)]
        installation.put_static_files()
        installation.web()
        address = f"http://localhost:{installation.port}"
        hanging.delays["/jwks"] = 20

        forged = [pool.submit(timed, send, address, hanging, connection, number) for number in range(10)]
        time.sleep(1)
        outs = [sign_out(address, application.client_id, session.raw_cookie) for session in sessions]
        began = time.monotonic()
        depart(address, "Fine")
        away_after = time.monotonic() - began
        answers = [one.result() for one in forged]

    assert [answer.status_code for answer, _ in outs] == [302] * 4
    assert max(seconds for _, seconds in outs) < 2
    assert away_after < 2
    refused = [(answer, seconds) for answer, seconds in answers if seconds < 4]
    assert len(refused) >= 8  # one waits, perhaps a second one after it
    assert {answer.status_code for answer, _ in refused} == {503}
    assert all(answer.headers["Retry-After"] == "5" for answer, _ in refused)
    assert not any(answer.ok for answer, _ in answers)


def timed(send: Send, *given: object) -> tuple[requests.Response, float]:
    began = time.monotonic()
    answer = send(*given)  # type: ignore[arg-type]
    return answer, time.monotonic() - began
