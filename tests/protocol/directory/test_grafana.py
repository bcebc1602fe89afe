"""Grafana's *Generic OAuth*, configured as its documentation has it, over tokens of ours.

Re-expressed from Grafana 11's `pkg/login/social/connectors/`: `UserInfo` of `generic_oauth.go` goes through the payload of the
ID token, then the answer of `api_url`, and keeps what it found first; `extractRoleAndAdminOptional` and `getRoleFromSearch` of
`social_base.go` judge the role. Paths are JMESPath (`pkg/util/json.go`): what is no text is no role and no address, and of a
list the texts are the groups.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

import jmespath
import pytest
from django.utils import timezone

from idp.connections.contract import Account
from idp.models import User
from idp.people import identities
from tests.support.factories import make_application, make_connection, make_session
from tests.support.oauth import tokens_for, userinfo

pytestmark = [pytest.mark.django_db, pytest.mark.once]
JWT = re.compile(r"([-\w=]+)[.]([-\w=]+)[.]([-\w=]+)", re.ASCII)
ROLES = ("None", "Viewer", "Editor", "Admin")
# "Map roles using groups" and "Map server administrator role" of "Configure generic OAuth authentication".
ROLE_PATH = (
    "contains(groups[*], 'admin') && 'GrafanaAdmin' || contains(groups[*], 'lead') && 'Admin' || "
    "contains(groups[*], 'editor') && 'editor' || 'Viewer'"
)


class Refused(Exception):
    """Grafana shows nobody in; the argument is what its log says."""


@dataclass
class Grafana:
    """The keys of `[auth.generic_oauth]`, and who somebody is by them."""

    role_attribute_path: str = ""
    role_attribute_strict: bool = False
    groups_attribute_path: str = ""
    email_attribute_path: str = ""
    login_attribute_path: str = ""
    allowed_groups: tuple[str, ...] = ()
    found: dict[str, Any] = field(default_factory=dict)

    def sign_in(self, id_token: str, api_answer: dict[str, Any]) -> dict[str, Any]:
        self.found = {"groups": [], "is_server_admin": False}
        for document in (payload_of(id_token), api_answer):
            self._first("id", document.get("sub"))
            self._first("name", document.get("name"))
            self._first("login", document.get("login") or text(self.login_attribute_path, document))
            self._first("email", document.get("email") or text(self.email_attribute_path, document))
            if not self.found.get("role"):
                self._role(text(self.role_attribute_path, document))
            self.found["groups"] = self.found["groups"] or texts(self.groups_attribute_path, document)
        if not self.found.get("role"):
            if self.role_attribute_strict:
                raise Refused("idP did not return a role attribute")
            self.found["role"] = "Viewer"  # `auto_assign_org_role`
        if self.allowed_groups and not set(self.allowed_groups) & set(self.found["groups"]):
            raise Refused("user not a member of one of the required groups")
        return self.found

    def _first(self, name: str, value: Any) -> None:
        if value and name not in self.found:
            self.found[name] = value

    def _role(self, said: str) -> None:
        if said.casefold() == "grafanaadmin":
            self.found |= {"role": "Admin", "is_server_admin": True}
        elif said.title() in ROLES:  # another name is logged, and no role
            self.found["role"] = said.title()


def payload_of(id_token: str) -> dict[str, Any]:
    """`retrieveRawIDToken`: unverified, as the token came from the token endpoint."""
    match = JWT.fullmatch(id_token)
    assert match, "id_token is not in JWT format"
    return dict(json.loads(base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4))))


def text(path: str, document: dict[str, Any]) -> str:
    try:
        value = jmespath.search(path, document) if path else ""
    except jmespath.exceptions.JMESPathError:  # as `contains(groups[*], …)` of a document without groups
        return ""
    return value if isinstance(value, str) else ""


def texts(path: str, document: dict[str, Any]) -> list[str]:
    value = jmespath.search(path, document) if path else []
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def person(groups: list[str]) -> User:
    profile = {"groups": groups, "preferred_username": "mary", "name": "Mary Jones"}
    account = Account(sub="u1", email="mary@corp.example", profile=profile)
    return identities.receive(make_connection("Corp", "oidc"), account, at=timezone.now()).user


def seen_by(grafana: Grafana, user: User, *mappings: dict[str, Any], scope: str = "openid profile email groups") -> Any:
    app = make_application("Grafana", claim_mappings=list(mappings))
    tokens = tokens_for(make_session(user), app, scope=scope)
    return grafana.sign_in(tokens["id_token"], userinfo(tokens["access_token"]).json())


@pytest.mark.parametrize(
    ("groups", "role", "is_server_admin"),
    [
        (["admin", "lead"], "Admin", True),
        (["lead"], "Admin", False),
        (["editor"], "Editor", False),
        (["somebody"], "Viewer", False),
        ([], "Viewer", False),
    ],
)
def test_grafana_reads_role_groups_and_address(groups: list[str], role: str, is_server_admin: bool) -> None:
    documented = Grafana(
        role_attribute_path=ROLE_PATH,
        groups_attribute_path="groups",
        email_attribute_path="email",
        login_attribute_path="preferred_username",
    )
    user = person(groups)
    assert seen_by(documented, user) == {
        "id": user.user_id,
        "name": "Mary Jones",
        "login": "mary",
        "email": "mary@corp.example",
        "role": role,
        "is_server_admin": is_server_admin,
        "groups": sorted(groups),
    }


@pytest.mark.parametrize(("groups", "role"), [(["grafana-editor", "x"], "Editor"), (["x"], "")])
def test_a_role_may_be_made_here_and_read_there(groups: list[str], role: str) -> None:
    """ "Use a custom role attribute": a claim with the role's name; strict, so that nobody without one gets in."""
    made = {"claim": "https://grafana.example/role", "from": "groups[?starts_with(@, 'grafana-')] | [0] && 'editor'"}
    strict = Grafana(role_attribute_path='"https://grafana.example/role"', role_attribute_strict=True)
    if role:
        assert seen_by(strict, person(groups), {**made, "in": ["id_token"]})["role"] == role
    else:
        with pytest.raises(Refused, match="role attribute"):
            seen_by(strict, person(groups), {**made, "in": ["id_token"]})


def test_grafana_shows_people_of_its_groups_in() -> None:
    choosy = Grafana(groups_attribute_path="groups", allowed_groups=("ops", "staff"))
    assert seen_by(choosy, person(["staff"]))["groups"] == ["staff"]


@pytest.mark.parametrize("scope", ["openid profile email groups", "openid profile email"])
def test_grafana_refuses_whoever_is_in_none_of_its_groups_or_comes_without(scope: str) -> None:
    choosy = Grafana(groups_attribute_path="groups", allowed_groups=("ops",))
    with pytest.raises(Refused, match="required groups"):
        seen_by(choosy, person(["ops" if "groups" not in scope else "staff"]), scope=scope)
