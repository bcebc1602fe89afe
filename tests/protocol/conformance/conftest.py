"""One Curfew for all modules, configured as for the OpenID Foundation's plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.protocol.conformance.parties import Browser, Client
from tests.rps.running import curfew, tenant_of, web_application
from tests.support.receiver import Receiver

RP = "https://suite.example/test/a/curfew"


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
    )
    tenant["users"][0] |= {"given_name": "Mary", "family_name": "Major", "name": "Mary Major"}
    folder: Path = tmp_path_factory.mktemp("conformance")
    with curfew(folder, tenant) as issuer:
        yield requests.get(f"{issuer}.well-known/openid-configuration", timeout=20).json()


@pytest.fixture
def browser(metadata: dict[str, Any]) -> Browser:
    return Browser(metadata["issuer"])


@pytest.fixture
def client(metadata: dict[str, Any], browser: Browser) -> Callable[..., Client]:
    def make(name: str = "basic", **fields: Any) -> Client:
        base = f"{RP}/{name}"
        return Client(metadata, name, f"{base}/callback", f"{base}/post_logout_redirect", browser, **fields)

    return make
