"""A device binds its tokens to a key as a browser's application does (RFC 9449 section 5)."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from idp.models import Application, SpentToken
from sessions_app.models import AccessToken, DeviceGrant, RefreshTokenFamily, SSOSession
from sessions_app.oauth import dpop
from tests.protocol.device.test_device import GRANT, answer, start
from tests.support.dpop import Prover
from tests.support.factories import make_application
from tests.support.oauth import credentials, issuer, post_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def cli() -> Application:
    return make_application(
        "CLI",
        app_type="native",
        token_endpoint_auth_method="none",
        grant_types=[GRANT, "refresh_token"],
        dpop_bound_access_tokens=True,
    )


def poll(cli: Application, started: dict[str, Any], prover: Prover | None) -> HttpResponse:
    headers = {"DPoP": prover.proof("POST", f"{issuer()}oauth/token")} if prover else {}
    body = {"grant_type": GRANT, "device_code": started["device_code"], **credentials(cli)}
    return post_form("/oauth/token", body, headers=headers)


def test_a_device_binds_its_tokens_and_a_poll_without_a_proof_uses_nothing_up(
    cli: Application, session: SSOSession
) -> None:
    prover, started = Prover(), start(cli)
    prover.nonce = dpop.nonce(timezone.now())
    assert poll(cli, started, prover).json()["error"] == "authorization_pending"
    assert not SpentToken.objects.filter(kind="dpop").exists(), "a poll costs no row"
    answer(session, started, "allow")
    DeviceGrant.objects.update(polled_at=None)
    assert poll(cli, started, None).json()["error"] == "invalid_dpop_proof"
    body = poll(cli, started, prover).json()
    assert body["token_type"] == "DPoP"
    assert AccessToken.rows.get().dpop_jkt == RefreshTokenFamily.objects.get().dpop_jkt == prover.jkt
