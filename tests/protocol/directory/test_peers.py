"""What others do with our claims, by the rules that they document or have in their source."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from idp.connections.contract import Account
from idp.people import identities
from tests.support.factories import make_application, make_connection, make_session
from tests.support.oauth import decode, tokens_for, userinfo

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def tell(
    groups: list[str], options: dict[str, Any], *mappings: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """ID token and UserInfo of somebody from upstream."""
    connection = make_connection("Corp", "oidc", options=options)
    account = Account(sub="u1", email="mary@corp.example", profile={"groups": groups, "preferred_username": "mary"})
    user = identities.receive(connection, account, at=timezone.now()).user
    app = make_application("Peer", claim_mappings=list(mappings))
    tokens = tokens_for(make_session(user), app, scope="openid profile email groups")
    return decode(tokens["id_token"]), userinfo(tokens["access_token"]).json()


def oauth2_proxy_session(claims: dict[str, Any]) -> list[str]:
    """The groups of a session of oauth2-proxy v7, or its refusal: `providers/provider_data.go`, `buildSessionFromClaims` (an
    `email_verified` that is false is an error) and `extractClaims` (`groups` by `--oidc-groups-claim`)."""
    if claims.get("email_verified", True) is not True:
        raise PermissionError(f"email in id_token ({claims.get('email')}) isn't verified")
    groups = claims.get("groups", [])
    assert all(isinstance(group, str) for group in groups)
    return groups


def test_oauth2_proxy_lets_people_of_a_source_in_whose_addresses_are_verified() -> None:
    id_token, _ = tell(["ops"], {"email_is_verified": True})
    assert oauth2_proxy_session(id_token) == ["ops"]


def test_oauth2_proxy_refuses_addresses_of_a_source_that_nobody_vouches_for() -> None:
    id_token, _ = tell(["ops"], {})
    with pytest.raises(PermissionError):
        oauth2_proxy_session(id_token)


def test_kubernetes_and_argo_cd_read_an_array_of_text() -> None:
    """`--oidc-groups-claim`, and Argo CD's `g, <group>, role:admin`: an array of strings in the ID token."""
    id_token, _ = tell(["b", "a"], {}, {"claim": "cluster_groups", "from": "groups", "in": ["id_token"]})
    assert id_token["groups"] == id_token["cluster_groups"] == ["a", "b"]
