"""One Curfew for all modules, configured as for the OpenID Foundation's plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.protocol.conformance.bank import Bank
from tests.protocol.conformance.parties import Browser, Client
from tests.rps.running import curfew, tenant_of, web_application
from tests.support.dpop import new_key
from tests.support.receiver import Receiver

RP = "https://suite.example/test/a/curfew"
BANK_KEYS = {name: new_key("PS256") for name in ("bank", "bank-two", "bank-asks")}


@pytest.fixture(scope="package")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """The suite's own back-channel endpoint."""
    with Receiver(tmp_path_factory.mktemp("receiver")) as running:
        yield running


@pytest.fixture(scope="package")
def metadata(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[dict[str, Any]]:
    """What discovery says."""

    def application(name: str, **fields: Any) -> dict[str, Any]:
        made = web_application(name, f"{RP}/{name}", "/callback", **fields)
        return made | {"allowed_logout_urls": [f"{RP}/{name}/post_logout_redirect"]}

    front = {
        "frontchannel_logout_uri": f"{RP}/front/frontchannel_logout",
        "frontchannel_logout_session_required": True,
    }
    tenant = tenant_of(
        application("basic"),
        application("post", token_endpoint_auth_method="client_secret_post"),
        application("second"),
        application("back", oidc_logout={"backchannel_logout_urls": [receiver.url("back")]}),
        application("front", oidc_logout=front),
        *(fapi_application(name, f"{RP}/{name}/callback") for name in BANK_KEYS),
    )
    tenant["clients"][-1]["is_first_party"] = False
    tenant["users"][0] |= {"given_name": "Mary", "family_name": "Major", "name": "Mary Major"}
    folder: Path = tmp_path_factory.mktemp("conformance")
    with curfew(folder, tenant) as issuer:
        yield requests.get(f"{issuer}.well-known/openid-configuration", timeout=20).json()


def fapi_application(name: str, callback: str) -> dict[str, Any]:
    """As docs/ipsie.md tells to configure a client of FAPI 2.0."""
    public = {**BANK_KEYS[name].as_dict(private=False), "kid": name}
    return {
        "client_id": name,
        "name": name,
        "app_type": "regular_web",
        "callbacks": [callback],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [public]},
        "strict_client_assertions": True,
        "require_pkce": True,
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "jwt_configuration": {"alg": "PS256"},
        "refresh_token": {"rotation_type": "non-rotating"},
    }


@pytest.fixture
def bank(metadata: dict[str, Any]) -> Callable[..., Bank]:
    """A client of the FAPI plan, with a browser of its own."""

    def make(name: str = "bank") -> Bank:
        return Bank(metadata, name, f"{RP}/{name}/callback", Browser(metadata["issuer"]), BANK_KEYS[name])

    return make


@pytest.fixture
def browser(metadata: dict[str, Any]) -> Browser:
    return Browser(metadata["issuer"])


@pytest.fixture
def client(metadata: dict[str, Any], browser: Browser) -> Callable[..., Client]:
    def make(name: str = "basic", **fields: Any) -> Client:
        base = f"{RP}/{name}"
        return Client(metadata, name, f"{base}/callback", f"{base}/post_logout_redirect", browser, **fields)

    return make
