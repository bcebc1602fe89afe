"""The resources as we announce and validate them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from scim2_models import AnyExtension, ComplexAttribute, Mutability, Reference, Required
from scim2_models import EnterpriseUser as RfcEnterpriseUser
from scim2_models import Group as RfcGroup
from scim2_models import User as RfcUser
from scim2_models.resources.enterprise_user import Manager
from scim2_models.resources.group import GroupMember
from scim2_models.resources.user import Email


class Member(GroupMember):
    """Without their name: it is theirs, and a group of thousands would carry it again and again."""

    display: Annotated[str | None, Mutability.read_only] = None


class Group(RfcGroup):
    members: list[Member] | None = None  # type: ignore[assignment]
    Members: ClassVar[type[ComplexAttribute]] = Member


class AnyEmail(Email):
    """As the source has it, also `ann@corp.local`: what is no address is nobody's reason to refuse the person's deactivation."""

    value: str | None = None


class User(RfcUser[AnyExtension]):
    emails: list[AnyEmail] | None = None  # type: ignore[assignment]
    Emails: ClassVar[type[ComplexAttribute]] = AnyEmail


class AnyManager(Manager):
    """By the id alone, as Okta and Entra name them; RFC 7643 section 8.7.1 asks for neither member."""

    value: str | None = None
    ref: Annotated[Reference["User"] | None, Required.false] = Field(  # type: ignore[type-arg,assignment]  # noqa: UP037
        None, serialization_alias="$ref", validation_alias="$ref"
    )


class EnterpriseUser(RfcEnterpriseUser):
    manager: AnyManager | None = None


UserModel: Any = User[EnterpriseUser]
