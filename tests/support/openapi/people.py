"""People: accounts, what they may, where they are signed in."""

from __future__ import annotations

from idp.connections.database import LONGEST_PASSWORD
from logout_app.api.people import may, refresh_tokens, sessions
from logout_app.api.people.accounts import TYPES
from tests.support.openapi.words import (
    Bodies,
    answer,
    body,
    different,
    many,
    mapping,
    maybe,
    one_of,
    ref,
    switch,
    text,
    time,
    whole,
)

METADATA = mapping("Merged at the first level; null takes a name away, `{}` all of them.")
WRITTEN = {
    "name": text(maxLength=255),
    "given_name": text(maxLength=150),
    "family_name": text(maxLength=150),
    "nickname": text(maxLength=150),
    "picture": text("An https URL."),
    "phone_number": text(maxLength=32),
    "phone_verified": switch(),
    "user_metadata": METADATA,
    "app_metadata": METADATA,
    "email": text(maxLength=254),
    "email_verified": switch(),
    "password": text(maxLength=LONGEST_PASSWORD),
    "blocked": switch("True ends every session."),
    "verify_email": switch("Send a link that verifies the address."),
}
DEVICE = answer(
    {
        "initial_ip": maybe(text()),
        "initial_user_agent": maybe(text()),
        "initial_asn": {"type": "null"},
        "last_ip": maybe(text()),
        "last_user_agent": maybe(text()),
        "last_asn": {"type": "null"},
    }
)
COMPONENTS = {
    "User": answer(
        {
            "user_id": text("`auth0|…`, or strategy, connection and the id there."),
            "email": text(),
            "email_verified": switch(),
            "identities": many(ref("Identity")),
            "created_at": time(),
            "updated_at": time(),
            "user_metadata": mapping(),
            "app_metadata": mapping(),
            "blocked": switch(),
        },
        {
            **{name: text() for name in ("name", "given_name", "family_name", "nickname", "picture", "phone_number")},
            "phone_verified": switch(),
            "username": text(),
            "last_login": time(),
        },
    ),
    "Identity": answer(
        {
            "user_id": text("The account's id at its connection."),
            "connection": text(),
            "provider": text("The connection's strategy."),
            "isSocial": switch(),
        },
        {"profileData": mapping()},
    ),
    "Role": answer({"id": text(), "name": text(), "description": maybe(text())}),
    "Permission": answer(
        {
            "permission_name": text(),
            "description": text(),
            "resource_server_name": text(),
            "resource_server_identifier": text(),
        }
    ),
    "UserPermission": answer(
        {
            "permission_name": text(),
            "description": text(),
            "resource_server_name": text(),
            "resource_server_identifier": text(),
            "sources": many(answer({"source_type": text(), "source_id": text(), "source_name": text()})),
        }
    ),
    "Group": answer(
        {
            "id": text(),
            "name": text(),
            "description": text(),
            "external_id": maybe(text()),
            "connection_id": maybe(text()),
            "created_at": time(),
        }
    ),
    "AuthenticationMethod": answer(
        {
            "id": text(),
            "type": one_of(TYPES.values()),
            "confirmed": switch(),
            "created_at": time(),
            "last_auth_at": maybe(time()),
        },
        {"name": text()},
    ),
    "Session": answer(
        {
            "id": text("Its `sid`."),
            "user_id": text(),
            "created_at": time(),
            "updated_at": time(),
            "authenticated_at": time(),
            "idle_expires_at": maybe(time()),
            "expires_at": maybe(time()),
            "last_interacted_at": time(),
            "device": DEVICE,
            "clients": many(answer({"client_id": text()})),
            "authentication": answer({"methods": many(mapping())}),
            "session_metadata": maybe(mapping(of=text())),
            "reauthentication_pending": switch("It opens nothing further until its person proves who they are. Ours."),
        }
    ),
    "RefreshToken": answer(
        {
            "id": text(),
            "user_id": text(),
            "client_id": text(),
            "session_id": maybe(text("While the session lives.")),
            "rotating": switch(),
            "created_at": time(),
            "idle_expires_at": maybe(time()),
            "expires_at": maybe(time()),
            "last_exchanged_at": maybe(time()),
            "resource_servers": many(answer({"audience": text(), "scopes": text()})),
            "device": DEVICE,
        },
        {"refresh_token_metadata": maybe(mapping(of=text()))},
    ),
    "Device": answer(
        {
            "id": text(),
            "device_name": text(),
            "type": text(),
            "user_id": text(),
            "client_id": text(),
            "last_used": maybe(time()),
        }
    ),
    "Grant": answer(
        {"id": text(), "clientID": text(), "user_id": text(), "audience": text(), "scope": many(text())},
        says="What somebody allowed an application.",
    ),
    "Ticket": answer({"ticket": text("The link.")}),
    "Reauthentication": answer({"sessions": whole("How many sessions wait now.")}),
    "Blocks": answer({"blocked_for": many(answer({"identifier": text(), "connection": text()}))}),
    "Organization": mapping("There are none."),
}
ROLES = body({"roles": different(text(), minItems=1, maxItems=may.MOST_ROLES)})
ENTRIES = mapping(of=text(maxLength=sessions.LONGEST_ENTRY), maxProperties=sessions.MOST_ENTRIES)
NAMED = body({"user_id": text()}, client_id=text("Ignored: whose name the mail would have at Auth0."))
USER = "users/{user_id}"
BODIES = {
    "GET users": Bodies(ref("User")),
    "POST users": Bodies(
        ref("User"),
        body(
            {"connection": text("Its name.")},
            **WRITTEN,
            username=text(maxLength=255),
            user_id=text("The part after `auth0|`.", maxLength=200),
        ),
        also=(409,),
    ),
    "GET users-by-email": Bodies(many(ref("User"))),
    f"GET {USER}": Bodies(ref("User")),
    f"PATCH {USER}": Bodies(
        ref("User"),
        body(
            **WRITTEN,
            connection=text("Ignored: one account has a password."),
            client_id=text("Ignored: whose name the mail would have at Auth0."),
        ),
    ),
    f"DELETE {USER}": Bodies(),
    f"GET {USER}/roles": Bodies(ref("Role"), pages="roles"),
    f"POST {USER}/roles": Bodies(takes=ROLES),
    f"DELETE {USER}/roles": Bodies(takes=ROLES),
    f"GET {USER}/permissions": Bodies(ref("UserPermission"), pages="permissions"),
    f"POST {USER}/permissions": Bodies(takes=mapping()),
    f"GET {USER}/groups": Bodies(ref("Group")),
    f"GET {USER}/organizations": Bodies(ref("Organization"), pages="organizations"),
    f"POST {USER}/identities": Bodies(
        many(ref("Identity")), body({"provider": text(minLength=1), "user_id": text(minLength=1)}, connection_id=text())
    ),
    f"DELETE {USER}/identities/{{provider}}/{{local}}": Bodies(many(ref("Identity"))),
    f"GET {USER}/authentication-methods": Bodies(ref("AuthenticationMethod"), pages="authenticators"),
    f"DELETE {USER}/authentication-methods": Bodies(),
    f"GET {USER}/authentication-methods/{{method_id}}": Bodies(ref("AuthenticationMethod")),
    f"DELETE {USER}/authentication-methods/{{method_id}}": Bodies(),
    f"GET {USER}/sessions": Bodies(ref("Session")),
    f"DELETE {USER}/sessions": Bodies(),
    f"POST {USER}/revoke-access": Bodies(
        takes=body(session_id=text(maxLength=50), preserve_refresh_tokens=switch("Offline ones live on."))
    ),
    f"POST {USER}/require-reauthentication": Bodies(ref("Reauthentication")),
    f"GET {USER}/refresh-tokens": Bodies(ref("RefreshToken")),
    f"DELETE {USER}/refresh-tokens": Bodies(),
    "GET user-blocks": Bodies(ref("Blocks")),
    "DELETE user-blocks": Bodies(),
    "GET user-blocks/{user_id}": Bodies(ref("Blocks")),
    "DELETE user-blocks/{user_id}": Bodies(),
    "GET sessions/{sid}": Bodies(ref("Session")),
    "PATCH sessions/{sid}": Bodies(ref("Session"), body(session_metadata=ENTRIES)),
    "DELETE sessions/{sid}": Bodies(),
    "POST sessions/{sid}/revoke": Bodies(),
    "POST sessions/{sid}/require-reauthentication": Bodies(ref("Reauthentication")),
    "GET device-credentials": Bodies(ref("Device")),
    "DELETE device-credentials/{token_id}": Bodies(),
    "GET refresh-tokens": Bodies(ref("RefreshToken"), also=(404,)),
    "POST refresh-tokens/revoke": Bodies(
        takes=body(
            ids=different(text(maxLength=50), minItems=1, maxItems=refresh_tokens.MOST_IDS),
            user_id=text("Instead of `ids`."),
            client_id=text("With `user_id`."),
            audience=text("With `client_id`."),
        ),
        also=(404,),
    ),
    "GET refresh-tokens/{token_id}": Bodies(ref("RefreshToken")),
    "PATCH refresh-tokens/{token_id}": Bodies(ref("RefreshToken"), body(refresh_token_metadata=ENTRIES)),
    "DELETE refresh-tokens/{token_id}": Bodies(),
    "GET grants": Bodies(ref("Grant")),
    "DELETE grants": Bodies(also=(404,)),
    "DELETE grants/{grant_id}": Bodies(),
    "POST tickets/password-change": Bodies(ref("Ticket"), NAMED, also=(404,)),
    "POST tickets/email-verification": Bodies(ref("Ticket"), NAMED, also=(404,)),
    "POST jobs/verification-email": Bodies(ref("Job"), NAMED, also=(404,)),
}
