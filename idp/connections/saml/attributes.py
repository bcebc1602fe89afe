"""From the subject and the attributes of an assertion to an account: who it is, and what their profile says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.connections.saml.options import SamlOptions
from idp.saml import xml
from idp.saml.names import EMAIL_ADDRESS, TRANSIENT, saml
from idp.saml.structure import BadResponse
from idp.saml.xml import Element

CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT = "http://schemas.microsoft.com/"
MOST_VALUES = 1000

# Field of the profile -> attributes that identity providers give it by, the first that has a value wins.
USUAL: Mapping[str, tuple[str, ...]] = {
    "email": (CLAIMS + "emailaddress", "mail", "email", "Email", "urn:oid:0.9.2342.19200300.100.1.3"),
    "name": (
        MICROSOFT + "identity/claims/displayname",
        "displayName",
        "urn:oid:2.16.840.1.113730.3.1.241",
        "cn",
        "urn:oid:2.5.4.3",
        CLAIMS + "name",
        "name",
    ),
    "given_name": (CLAIMS + "givenname", "givenName", "firstName", "given_name", "urn:oid:2.5.4.42"),
    "family_name": (CLAIMS + "surname", "sn", "surname", "lastName", "family_name", "urn:oid:2.5.4.4"),
    "nickname": ("nickname", "eduPersonNickname", "urn:oid:1.3.6.1.4.1.5923.1.1.1.2"),
    "preferred_username": (CLAIMS + "upn", "userPrincipalName", "uid", "urn:oid:0.9.2342.19200300.100.1.1"),
    "phone_number": (CLAIMS + "mobilephone", "telephoneNumber", "phone_number", "urn:oid:2.5.4.20"),
    "locale": ("preferredLanguage", "locale", "urn:oid:2.16.840.1.113730.3.1.39"),
    "picture": ("picture",),
}
GROUPS = (
    "http://schemas.xmlsoap.org/claims/Group",
    MICROSOFT + "ws/2008/06/identity/claims/groups",
    MICROSOFT + "ws/2008/06/identity/claims/role",
    "groups",
    "memberOf",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
)
USER_IDS = (CLAIMS + "nameidentifier", CLAIMS + "upn", CLAIMS + "name")  # Auth0's order, after the NameID itself

Attributes = Mapping[str, tuple[str, ...]]


def attributes_of(assertion: Element) -> dict[str, tuple[str, ...]]:
    """Values by name. What is not text, like a structure of its own, is left out."""
    found: dict[str, tuple[str, ...]] = {}
    for element in assertion.iterfind(f"{saml('AttributeStatement')}/{saml('Attribute')}"):
        name = (element.get("Name") or "").strip()
        values = [_value(value) for value in element.findall(saml("AttributeValue"))]
        kept = [value for value in values if value]
        if name and kept:
            found[name] = (*found.get(name, ()), *kept)[:MOST_VALUES]
    return found


def name_id_of(assertion: Element) -> dict[str, str]:
    """The NameID with its qualifiers, in the names that `LogoutRequest` upstream is made from; empty without one."""
    elements = assertion.findall(f"{saml('Subject')}/{saml('NameID')}")
    if not elements:
        return {}
    element = elements[0]
    if len(elements) > 1:
        raise BadResponse("has several NameIDs")
    value = xml.text_of(element)
    if not value:
        raise BadResponse("has an empty NameID")
    found = {
        "name_id": value,
        "name_id_format": element.get("Format") or "",
        "name_qualifier": element.get("NameQualifier") or "",
        "sp_name_qualifier": element.get("SPNameQualifier") or "",
    }
    return {name: value for name, value in found.items() if value}


def user_id(options: SamlOptions, name_id: Mapping[str, str], attributes: Attributes) -> str:
    """The stable id: the attribute that the administrator named, else the NameID, unless that is made anew for each sign-in."""
    chosen = options.user_id_attributes or options.fields_map.get("user_id", ())
    if chosen:
        return _only(chosen, attributes)
    if name_id and name_id.get("name_id_format") != TRANSIENT:
        return name_id["name_id"]
    try:
        return _only(USER_IDS, attributes)
    except BadResponse:
        raise BadResponse("has no lasting user id: name an attribute in user_id_attribute") from None


def profile_of(options: SamlOptions, name_id: Mapping[str, str], attributes: Attributes) -> dict[str, Any]:
    """OpenID claims, and what else the administrator mapped; each a text, `groups` a list."""
    names = {**USUAL, **{field: mapped for field, mapped in options.fields_map.items() if field != "user_id"}}
    profile: dict[str, Any] = {}
    for field, candidates in names.items():
        if values := _first(candidates, attributes):
            profile[field] = values[0] if len(values) == 1 or field in USUAL else list(values)
    if "email" not in profile and name_id.get("name_id_format") == EMAIL_ADDRESS:
        profile["email"] = name_id["name_id"]
    if groups := _first(options.fields_map.get("groups", GROUPS), attributes):
        profile["groups"] = list(groups)
    return profile


def _value(element: Element) -> str:
    """Text without characters that no database takes; "" for a structure."""
    if len(element):
        return ""
    return xml.text_of(element)


def _first(candidates: tuple[str, ...], attributes: Attributes) -> tuple[str, ...]:
    return next((attributes[name] for name in candidates if name in attributes), ())


def _only(candidates: tuple[str, ...], attributes: Attributes) -> str:
    values = _first(candidates, attributes)
    if len(values) != 1:
        raise BadResponse(f"has {len(values)} values of the user id attribute {' or '.join(candidates)}")
    return values[0]
