"""What an administrator pastes into the identity provider's own pages, and what its revocation requests must carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from idp.connections import shared_signals
from idp.connections.dialects import SAML, dialect, has_own_callback
from idp.connections.oidc import issuers
from idp.connections.oidc import options as oidc_options
from idp.models import Connection, Strategy

# Whose pages have a place for it. Others of the OpenID Connect family are believed too, should they ever ask.
REVOKES = frozenset({Strategy.OIDC, Strategy.OKTA, Strategy.SAML})


@dataclass(frozen=True, slots=True)
class PastedEntry:
    """One value to copy; `where` is where the provider's pages ask for it."""

    label: str
    value: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class PastedGroup:
    title: str
    entries: tuple[PastedEntry, ...]
    text: str = ""


def groups(connection: Connection) -> list[PastedGroup]:
    """Nothing for connections whose passwords are typed here: their directory need not know us."""
    if connection.strategy in (Strategy.DATABASE, Strategy.ACTIVE_DIRECTORY):
        return []
    saml = dialect(connection.strategy, connection.options) == SAML
    found = [PastedGroup("Signing in", tuple(_saml(connection) if saml else _oidc(connection)))]
    found.append(PastedGroup("Signing out", tuple(_logout(connection, saml=saml))))
    if connection.strategy in REVOKES:
        found.append(_revocation(connection))
    if shared_signals.of(connection):
        found.append(_signals(connection))
    return found


def metadata_url(connection: Connection) -> str:
    return url(f"samlp/{connection.name}/metadata")


def url(path: str) -> str:
    return settings.ISSUER + path


def callback_url_of(connection_name: str, *, own: bool) -> str:
    return url(f"login/callback/{connection_name}" if own else "login/callback")


CALLBACK_WHERE = {
    Strategy.OKTA: "Sign-in redirect URIs",
    Strategy.GOOGLE: "Authorised redirect URIs",
    Strategy.ENTRA: "Redirect URI of the platform Web",
    Strategy.ADFS: "Redirect URI of the server application",
}
ENDPOINT_WHERE = "In Okta: Logout endpoint URL, on the General tab of the application"
SUBJECT_FORMAT = "Subject format: Issuer and Subject Identifier, or Email."
FRONTCHANNEL_WHERE = {
    Strategy.ENTRA: "Authentication, Front-channel logout URL. Then Token configuration, Add optional claim, ID, sid"
}
SIGNED_OUT_WHERE = {Strategy.OKTA: "Sign-out redirect URIs", Strategy.ENTRA: "Redirect URIs of the platform Web, too"}


def _oidc(connection: Connection) -> Iterator[PastedEntry]:
    where = CALLBACK_WHERE.get(Strategy(connection.strategy), "Redirect URI")
    own = has_own_callback(connection.strategy, connection.options)
    yield PastedEntry("Callback URL", callback_url_of(connection.name, own=own), where)


def _oidc_logout(connection: Connection) -> Iterator[PastedEntry]:
    where = SIGNED_OUT_WHERE.get(Strategy(connection.strategy), "Post logout redirect URI")
    if connection.strategy != Strategy.GOOGLE:
        yield PastedEntry("After federated logout", url("logout/callback"), where)
    if connection.strategy == Strategy.OIDC:
        yield PastedEntry(
            "Back-channel logout URI", url(f"backchannel-logout/{connection.name}"), "with session (sid) required"
        )
    if connection.strategy in (Strategy.OIDC, Strategy.ENTRA, Strategy.ADFS):
        where = FRONTCHANNEL_WHERE.get(Strategy(connection.strategy), "Front-channel logout URL")
        yield PastedEntry("Front-channel logout URL", url(f"frontchannel-logout/{connection.name}"), where)


def _logout(connection: Connection, *, saml: bool) -> Iterator[PastedEntry]:
    yield from _saml_logout(connection) if saml else _oidc_logout(connection)
    if connection.strategy == Strategy.ADFS:
        yield from _wsfed_logout(connection)


def _wsfed_logout(connection: Connection) -> Iterator[PastedEntry]:
    where = "WS-Federation Passive Endpoint of the relying party trust, which ADFS calls when somebody signs out there"
    yield PastedEntry("WS-Federation sign-out", url(f"wsfed/{connection.name}"), where)


def _saml(connection: Connection) -> Iterator[PastedEntry]:
    yield PastedEntry("Metadata URL", metadata_url(connection), "holds all that follows")
    yield PastedEntry(
        "Assertion consumer service", url(f"login/callback/{connection.name}"), "Single sign-on URL, ACS URL"
    )
    yield PastedEntry(
        "Entity ID",
        connection.options.get("entityId") or metadata_url(connection),
        "Audience URI, SP entity ID, Identifier",
    )


def _saml_logout(connection: Connection) -> Iterator[PastedEntry]:
    yield PastedEntry("Single logout URL", url(f"samlp/{connection.name}/slo"), "Single Logout URL, HTTP-Redirect")


def _revocation(connection: Connection) -> PastedGroup:
    endpoint = url(f"oauth/global-token-revocation/connection/{connection.name}")
    claims = [
        PastedEntry(name, value, "in its signed requests") for name, value in _claims(connection, endpoint) if value
    ]
    complete = len(claims) == 3 or connection.strategy != Strategy.SAML
    return PastedGroup(
        "Global Token Revocation",
        (PastedEntry("Endpoint", endpoint, ENDPOINT_WHERE), *claims),
        "When the provider decides that somebody must be out, all their sessions and refresh tokens end. "
        + (
            SUBJECT_FORMAT if complete else "Not yet: give issuer and subject below, so that its requests are believed."
        ),
    )


def _signals(connection: Connection) -> PastedGroup:
    return PastedGroup(
        "Shared Signals",
        (
            PastedEntry(
                "Push endpoint", url(f"ssf/{connection.name}/events"), "Receiver URL; also the aud of the events"
            ),
        ),
        "Only if you make the stream there by hand: Connect signals tells the transmitter itself.",
    )


def _claims(connection: Connection, endpoint: str) -> Iterator[tuple[str, str]]:
    """What the sender's token says: `aud` is the endpoint, `sub` what we are called there."""
    options = connection.options
    if connection.strategy == Strategy.SAML:
        yield "iss", str(options.get("global_token_revocation_jwt_iss", ""))
        yield "sub", str(options.get("global_token_revocation_jwt_sub", ""))
    else:
        given = oidc_options.of(connection)
        yield "iss", next(iter(given.other_revokers), "") or issuer_of(connection)
        yield "sub", given.revocation_subject or given.client_id
    yield "aud", endpoint


def issuer_of(connection: Connection) -> str:
    """The issuer as far as the options tell it; "" where only the discovery document does."""
    options = oidc_options.of(connection)
    return options.issuer or next(iter(issuers.of_discovery_url(options.discovery_url)), "")
