"""Clients that others wrote, unmodified, as FAPI 2.0 wants them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.conformance.conftest import BANK_KEYS, RP
from tests.rps.running import MARY, PASSWORD
from tests.support.stack import ROOT

pytestmark = pytest.mark.once


@pytest.mark.spec("SDK contract", "openid-client", "The unmodified client pushes its request and binds its tokens")
def test_openid_client_pushes_its_request_and_binds_its_tokens(metadata: dict[str, Any]) -> None:
    environment = os.environ | {
        "ISSUER": metadata["issuer"],
        "CLIENT_ID": "bank",
        "PRIVATE_JWK": json.dumps({**BANK_KEYS["bank"].as_dict(private=True), "kid": "bank"}),
        "CALLBACK": f"{RP}/bank/callback",
        "USERNAME": MARY,
        "PASSWORD": PASSWORD,
    }
    script = Path("tests/protocol/conformance/openid_client_fapi.mjs")
    done = subprocess.run(["node", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "parameters": ["client_id", "request_uri"],
        "type": "dpop",  # the library's own spelling
        "email": MARY,
        "emailAfterRefresh": MARY,
        "typeAfterRefresh": "dpop",
        "borne": "OAUTH_WWW_AUTHENTICATE_CHALLENGE",
    }
