"""The resources as we announce and validate them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from scim2_models import ComplexAttribute, EnterpriseUser, Mutability, User
from scim2_models import Group as RfcGroup
from scim2_models.resources.group import GroupMember


class Member(GroupMember):
    """Without their name: it is theirs, and a group of thousands would carry it again and again."""

    display: Annotated[str | None, Mutability.read_only] = None


class Group(RfcGroup):
    members: list[Member] | None = None  # type: ignore[assignment]
    Members: ClassVar[type[ComplexAttribute]] = Member


UserModel: Any = User[EnterpriseUser]
