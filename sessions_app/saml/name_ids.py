"""Whom an application is told that somebody is: the NameID (SAML core section 8.3).

A persistent one is a keyed digest, as pairwise subjects are: the same person and entity id always give the same, and two
applications cannot compare theirs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idp.applications.subjects import subject_for
from idp.models import Application, User
from idp.saml import xml
from idp.saml.application.settings import SamlSettings
from idp.saml.names import EMAIL_ADDRESS, PERSISTENT, TRANSIENT, UNSPECIFIED
from idp.saml.sending import new_id
from idp.tenants.configuration import Snapshot

LONGEST = 1024


class NoSuchName(Exception):
    """There is no NameID of this format for this person."""


@dataclass(frozen=True, slots=True)
class NameId:
    value: str
    format: str
    name_qualifier: str = ""
    sp_name_qualifier: str = ""


def name_id(
    wanted: str,
    user: User,
    application: Application,
    attributes: Mapping[str, Sequence[object]],
    snapshot: Snapshot,
    settings: SamlSettings,
) -> NameId:
    """`wanted`: a format, "" for the application's own. `attributes`: what it is told besides, in which the probes look; where
    none of them finds anything, it is the person's `sub`.

    Raises NoSuchName.
    """
    chosen = wanted or settings.name_id_format
    if chosen == PERSISTENT:
        qualifiers = settings.own_entity_id, settings.entity_id
        return NameId(persistent(user.user_id, settings.entity_id, snapshot), chosen, *qualifiers)
    if chosen == TRANSIENT:
        return NameId(new_id(), chosen, settings.own_entity_id, settings.entity_id)
    if chosen == EMAIL_ADDRESS:
        if not user.email_verified:  # at the application it may be somebody else's account
            raise NoSuchName(f"{chosen}, which nobody verified")
        return _checked(user.email, chosen)
    if chosen != UNSPECIFIED:
        raise NoSuchName(chosen)
    probed = (str(values[0]) for probe in settings.name_id_probes if (values := attributes.get(probe)))
    usable = (value for value in probed if user.email_verified or value != user.email)
    return _checked(next(usable, "") or subject_for(user.user_id, application, snapshot), chosen)


def persistent(user_id: str, entity_id: str, snapshot: Snapshot) -> str:
    said = f"saml\n{entity_id}\n{user_id}".encode()
    mac = hmac.digest(snapshot.tenant.pairwise_salt.encode(), said, hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _checked(value: str, chosen: str) -> NameId:
    """Without white space around it, which nobody compares; a name of which something must be left out is another's."""
    value = value.strip()
    if not value or len(value) > LONGEST or not xml.is_sayable(value):
        raise NoSuchName(chosen)
    return NameId(value, chosen)
