"""What an application that speaks WS-Federation says of itself: `Application.wsfed`, in the names of Auth0's `addons.wsfed`.

What its tokens say of people is said as by SAML. The callbacks of the application are the addresses that it may ask for (`wreply`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings

from idp.applications.problem import Problem
from idp.saml.application.reader import LONGEST_NAME, SettingsReader
from idp.saml.application.settings import SamlSettings, said_of_people

if TYPE_CHECKING:
    from idp.models import Application

FIELD = "wsfed"
SIGN_IN, SIGN_OUT, CLEAN_UP = "wsignin1.0", "wsignout1.0", "wsignoutcleanup1.0"
SAML11, SAML20 = "saml11", "saml20"
METADATA = "FederationMetadata/2007-06/FederationMetadata.xml"
CLEANED_UP = f"?wa={CLEAN_UP}"


@dataclass(frozen=True, slots=True)
class WsFedSettings:
    """The settings in force; without a realm the application does not speak WS-Federation. `told`: its realm as the entity id,
    and what tokens say."""

    realm: str = ""
    token_type: str = SAML11
    told: SamlSettings = field(default_factory=SamlSettings)

    def __bool__(self) -> bool:
        return bool(self.realm)


def endpoint(application: Application) -> str:
    return f"{settings.ISSUER}wsfed/{application.client_id}"


def metadata_url(application: Application) -> str:
    return f"{endpoint(application)}/{METADATA}"


def problems(application: Application) -> Iterator[Problem]:
    given = application.wsfed
    if given == {}:
        return
    if not isinstance(given, Mapping):
        yield Problem(FIELD, "it must be an object like {realm: urn:sharepoint:intranet}", is_used=False)
        return
    reader = SettingsReader(given)
    _settings(reader)
    for path, reason in reader.problems:
        yield Problem(FIELD, f"{path}: {reason}", is_used=False)
    if application.saml:
        yield Problem(FIELD, "it speaks SAML already, and can speak one of both", depends=("saml",), is_used=False)
    if not application.callbacks:
        reason = "an application that speaks WS-Federation needs at least one: where its tokens go"
        yield Problem("redirect_uris", reason, depends=(FIELD,))
    uri = application.frontchannel_logout_uri
    if uri and ("wa", CLEAN_UP) not in parse_qsl(urlsplit(uri).query):
        reason = f"an application that speaks WS-Federation is asked there to clean up: add {CLEANED_UP}"
        yield Problem("frontchannel_logout_uri", reason, depends=(FIELD,))


def read(application: Application) -> WsFedSettings:
    """What may be used: none of it if any of it is wrong, since half of an agreement is none."""
    if not application.wsfed or any(problem.field == FIELD for problem in problems(application)):
        return WsFedSettings()
    return _settings(SettingsReader(application.wsfed))


def _settings(reader: SettingsReader) -> WsFedSettings:
    realm = reader.text("realm", longest=LONGEST_NAME)
    if not realm:
        reader.wrong("realm", "it is missing: the name by which the application calls itself (wtrealm)")
    token_type = reader.choice("tokenType", (SAML11, SAML20), SAML11)
    told = SamlSettings(entity_id=realm, **said_of_people(reader))
    reader.done()
    return WsFedSettings(realm, token_type, told)
