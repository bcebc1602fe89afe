"""What the columns of an application may hold, one by one and together; URLs are `rules`, keys are `keys`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from idp.applications.problem import Problem
from idp.protocol import assurance, clients, grant_types
from idp.protocol.bounds import MOST_SECONDS, Bounds
from idp.protocol.grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS
from idp.protocol.initiators import EVERY

if TYPE_CHECKING:
    from idp.models import Application

LONGEST_NAME = 255
LONGEST_ID = 100
STORED_HASH = "client_sha256$"  # how `idp.people.hashers` begins what it keeps
NUMBERS: Mapping[str, Bounds] = {  # seconds
    "id_token_lifetime": Bounds(1, MOST_SECONDS),
    "default_max_age": Bounds(0, MOST_SECONDS, may_be_empty=True),
    "access_token_lifetime": Bounds(1, MOST_SECONDS),
    "refresh_token_leeway": Bounds(
        0, 600
    ),  # longer, and a stolen token is used beside the real one without being noticed
    "refresh_token_lifetime": Bounds(1, MOST_SECONDS, may_be_empty=True),
    "refresh_token_idle_lifetime": Bounds(1, MOST_SECONDS, may_be_empty=True),
}
CHOSEN = (
    "app_type",
    "token_endpoint_auth_method",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "id_token_encrypted_response_alg",
    "subject_type",
    "backchannel_logout_token_typ",
    "backchannel_logout_initiators_mode",
    "access_mode",
)
ALL_INITIATORS = "all"


def problems(application: Application) -> Iterator[Problem]:
    yield from _names(application)
    yield from _choices(application)
    yield from _numbers(application)
    yield from _grants(application)
    yield from _authentication(application)
    yield from _classes(application)
    yield from _initiators(application)


def within(application: Application, field: str) -> int:
    """A number as it is used: one outside of its bounds counts as the nearest that is allowed."""
    return NUMBERS[field].nearest(int(getattr(application, field)))


def secret_problem(application: Application, secret: str) -> str | None:
    """What is wrong with a client secret that somebody chose for it."""
    if application.is_public:
        return "a public client (token_endpoint_auth_method none) has no secret"
    if secret.startswith(STORED_HASH):
        return "looks like a stored hash: give the secret itself"
    return None if secret.isprintable() else "must be printable text"


def _names(application: Application) -> Iterator[Problem]:
    name, client_id = application.name, application.client_id
    if not name.strip():
        yield Problem("name", "it is missing: people read it on the login page")
    elif len(name) > LONGEST_NAME or not name.isprintable():
        yield Problem("name", f"it must be printable text of at most {LONGEST_NAME} characters")
    if not 0 < len(client_id) <= LONGEST_ID or not all("!" <= character <= "~" for character in client_id):
        # RFC 6749 appendix A.1, without the space
        yield Problem("client_id", f"it must be printable ASCII without spaces, at most {LONGEST_ID} characters")


def _choices(application: Application) -> Iterator[Problem]:
    for field in CHOSEN:
        column = application._meta.get_field(field)
        choices = [value for value, _ in column.flatchoices]
        value = getattr(application, field)
        if value not in choices and not (column.blank and value == ""):
            yield Problem(field, f"it must be one of {', '.join(choices)}", value=str(value))


def _numbers(application: Application) -> Iterator[Problem]:
    for field, bounds in NUMBERS.items():
        value = getattr(application, field)
        if reason := bounds.problem(value):
            is_number = isinstance(value, int)
            instead = str(within(application, field)) if is_number else ""
            yield Problem(field, reason, value=str(value), is_used=not instead, instead=instead)


def _grants(application: Application) -> Iterator[Problem]:
    grants = application.grant_types
    if grants == [] and (application.saml or application.wsfed):  # people come to it by these only
        return
    if not isinstance(grants, list) or not grants:
        yield Problem("grant_types", "it needs at least one of " + ", ".join(grant_types.ALL))
        return
    for index, grant in enumerate(grants):
        if grant not in grant_types.ALL:
            reason = f"it must be one of {', '.join(grant_types.ALL)}"
            yield Problem("grant_types", reason, value=str(grant), index=index, is_used=False)
    if AUTHORIZATION_CODE in grants and not application.callbacks:
        yield Problem("redirect_uris", "the authorization code grant needs at least one", depends=("grant_types",))
    if CLIENT_CREDENTIALS in grants and application.is_public:
        reason = "a public client cannot use client credentials: it has nothing to prove"
        yield Problem("grant_types", reason, depends=("token_endpoint_auth_method",), is_used=False)


def _authentication(application: Application) -> Iterator[Problem]:
    has_keys, has_uri = bool(application.jwks), bool(application.jwks_uri)
    if has_keys and has_uri:  # RFC 7591 section 2
        yield Problem("jwks", "jwks and jwks_uri exclude each other", depends=("jwks_uri",))
    if application.token_endpoint_auth_method == clients.PRIVATE_KEY_JWT and not (has_keys or has_uri):
        reason = "private_key_jwt needs jwks or jwks_uri: its public keys, or where they are"
        yield Problem("jwks", reason, depends=("jwks_uri", "token_endpoint_auth_method"))
    if application.id_token_encrypted_response_alg and not (has_keys or has_uri):
        reason = "encrypted ID tokens need jwks or jwks_uri: the public keys to encrypt by, or where they are"
        yield Problem("jwks", reason, depends=("jwks_uri", "id_token_encrypted_response_alg"))


def _classes(application: Application) -> Iterator[Problem]:
    names = application.default_acr_values
    if not isinstance(names, list):
        yield Problem("default_acr_values", "it must be a list of names", value=str(names), is_used=False)
        return
    for index, name in enumerate(names):
        if name not in assurance.CLASSES:
            reason = f"it must be one of {', '.join(assurance.CLASSES)}"
            yield Problem("default_acr_values", reason, value=str(name), index=index, is_used=False)


def _initiators(application: Application) -> Iterator[Problem]:
    told = application.backchannel_logout_initiators
    for index, initiator in enumerate(told if isinstance(told, list) else []):
        if initiator not in EVERY:
            reason = f"it must be one of {', '.join(EVERY)}"
            yield Problem("backchannel_logout_initiators", reason, value=str(initiator), index=index, is_used=False)
    if application.backchannel_logout_initiators_mode != ALL_INITIATORS and not told:
        reason = "select at least one, or choose the mode all"
        yield Problem("backchannel_logout_initiators", reason, depends=("backchannel_logout_initiators_mode",))
