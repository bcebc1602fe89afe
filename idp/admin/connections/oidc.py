"""The forms of the OpenID Connect family."""

from __future__ import annotations

from typing import Any, ClassVar

from idp.admin.connections.fields import (
    CertificatesField,
    Topic,
    choice,
    document,
    email_is_verified,
    lines,
    mapping,
    text,
    tick,
    url,
    wants_signed,
    words,
)
from idp.admin.connections.forms import ADFS_HINTS, ConnectionForm, logout_hint
from idp.admin.connections.paste import callback_url_of

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
METHODS = [
    ("", "What the provider supports (usual)"),
    ("client_secret_basic", "client_secret_basic"),
    ("client_secret_post", "client_secret_post"),
    ("none", "None: a public client, PKCE only"),
]
HOME = Topic("Addresses", ("email_is_verified", "domain_aliases"))
BY_HAND = Topic(
    "Endpoints by hand",
    ("issuer", *ENDPOINTS, "oidc_metadata__end_session_endpoint"),
    "Each is usually discovered. What you type here wins over discovery.",
    collapsed=True,
)
CLAIMS = Topic(
    "Tokens and claims",
    (
        "token_endpoint_auth_method",
        "id_token_signed_response_algs",
        "id_token_session_expiry_supported",
        "own_callback",
        "attribute_map",
    ),
    collapsed=True,
)


REVOCATION = Topic(
    "Global Token Revocation",
    ("global_token_revocation_jwt_iss", "global_token_revocation_jwt_sub"),
    "Only if its signed requests say something else than its ID tokens do.",
    collapsed=True,
)


OKTA_REVOKES = (
    "Requests of the organization count by themselves, also when people sign in at a custom authorization server of it. Fill this "
    "in if the organization calls itself by another domain than the one that is given above."
)


class OidcForm(ConnectionForm):
    """Any OpenID Connect provider."""

    topics: ClassVar[tuple[Topic, ...]] = (
        Topic(
            "What the identity provider gave you",
            ("discovery_url", "client_id", "client_secret", "scope"),
            "Register Curfew there as a confidential web application with the callback URL above.",
        ),
        HOME,
        BY_HAND,
        CLAIMS,
        REVOCATION,
    )

    discovery_url = url(
        "Discovery URL",
        "Like https://login.example.com/.well-known/openid-configuration. Without it, fill in the endpoints by hand.",
    )
    client_id = text("Client ID", "As shown on the provider's page of the application that you registered for Curfew.")
    scope = words("Scope", "Separated by spaces. Empty: openid profile email.")
    issuer = url("Issuer", "Exactly the iss of its tokens. Also what its revocation requests must carry.")
    authorization_endpoint = url("Authorization endpoint", "Where the browser is sent.")
    token_endpoint = url("Token endpoint", "Where codes become tokens.")
    userinfo_endpoint = url("User info endpoint", "Only if the ID token does not hold the profile.")
    jwks_uri = url("Key set (jwks_uri)", "The public keys that its tokens are signed with.")
    oidc_metadata__end_session_endpoint = url("End session endpoint", "Where federated logout leads.")
    token_endpoint_auth_method = choice("How we prove who we are", METHODS, "At its token endpoint.")
    id_token_signed_response_algs = lines("Algorithms of ID tokens", "One per line, like RS256 or ES256. Empty: RS256.")
    id_token_session_expiry_supported = tick(
        "Sessions end with theirs", "If the ID token has session_expiry, our session does not outlive it."
    )
    email_is_verified = email_is_verified()
    own_callback = tick(
        "Callback URL of its own",
        "Another identity provider can then not pass off its answers as this one's.",
    )
    global_token_revocation_jwt_iss = url(
        "Issuer of revocations", "The iss of these requests. Its keys are found by its own discovery document."
    )
    global_token_revocation_jwt_sub = text("Subject of revocations", "What they call Curfew. Empty: the client id.")
    attribute_map = mapping(
        "Claim mapping",
        'A JSON object in Auth0\'s form: {"attributes": {"email": "${context.tokenset.upn}"}}.',
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own, shared = (callback_url_of(self.instance.name, own=own) for own in (True, False))
        self.fields[
            "own_callback"
        ].help_text += (
            f" Ticked, what is to be registered there is {own}; not ticked, {shared}. Register it before you save."
        )


class OktaForm(OidcForm):
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic(
            "What Okta gave you",
            ("domain", "client_id", "client_secret", "scope"),
            "In the Okta admin console: Applications, Create App Integration, OIDC - OpenID Connect, Web Application. "
            "Paste the addresses above there, assign people, and copy the two values of its General tab.",
        ),
        HOME,
        Topic(BY_HAND.title, ("discovery_url", *BY_HAND.fields), BY_HAND.text, collapsed=True),
        CLAIMS,
        Topic(REVOCATION.title, REVOCATION.fields, OKTA_REVOKES, collapsed=True),
    )

    domain = text(
        "Okta domain", "Like fabrikam.okta.com. The address of its pages, or of its admin console, is understood too."
    )


class GoogleForm(OidcForm):
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic(
            "What Google gave you",
            ("client_id", "client_secret", "scope"),
            "In the Google Cloud console: APIs & Services, Credentials, Create credentials, OAuth client ID, Web application. "
            "Paste the callback URL above as an authorised redirect URI.",
        ),
        HOME,
        Topic(BY_HAND.title, ("discovery_url", *BY_HAND.fields), BY_HAND.text, collapsed=True),
        CLAIMS,
    )


class EntraForm(OidcForm):
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic(
            "What Entra gave you",
            ("tenantId", "tenant_domain", "client_id", "client_secret", "scope"),
            "In the Entra admin center: App registrations, New registration, with the callback URL above as a redirect URI "
            "of the platform Web. Its Overview shows both ids.",
        ),
        HOME,
        Topic(BY_HAND.title, ("discovery_url", *BY_HAND.fields), BY_HAND.text, collapsed=True),
        CLAIMS,
    )
    secret_help: ClassVar[dict[str, str]] = {
        "client_secret": "Certificates & secrets, New client secret: the Value, not the Secret ID. It expires: note the date."
    }

    tenantId = text(
        "Directory (tenant) ID", "A UUID. Only accounts of this directory can sign in; it wins over the domain."
    )
    tenant_domain = text("Domain of the directory", "Like fabrikam.onmicrosoft.com, if you have no id.")
    client_id = text("Application (client) ID", "A UUID, on the Overview of the registration.")


class AdfsForm(OidcForm):
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic("The federation server", ("protocol", "adfs_server", "user_id_attribute")),
        Topic(
            "By OpenID Connect",
            ("client_id", "client_secret", "scope"),
            "In AD FS Management: Application Groups, Add Application Group, Server application accessing a web API, with "
            "the callback URL above as redirect URI. Copy the client identifier and generate a shared secret.",
        ),
        Topic(
            "By SAML",
            (
                "fedMetadataXml",
                "signInEndpoint",
                "signOutEndpoint",
                "signingCert",
                "wants_signed",
                "entityId",
                "thumbprints",
                "fieldsMap",
            ),
            "In AD FS Management: Relying Party Trusts, Add, from the metadata URL above. Its own metadata are fetched from "
            "the server: fill in the rest only if it cannot be reached from here.",
            collapsed=True,
        ),
        HOME,
        Topic(BY_HAND.title, ("discovery_url", *BY_HAND.fields), BY_HAND.text, collapsed=True),
        CLAIMS,
    )

    logout__hint = logout_hint(ADFS_HINTS)
    protocol = choice("Protocol", [("oidc", "OpenID Connect (Windows Server 2016 and later)"), ("samlp", "SAML 2.0")])
    adfs_server = text("Server", "Its host name, like adfs.fabrikamcorp.com.")
    client_id = text("Client identifier", "Of the server application.")
    user_id_attribute = text(
        "Claim with the user ID",
        "Never changes and never belongs to somebody else, like objectguid. Empty: sub, or NameID.",
    )
    fedMetadataXml = document(
        "Federation metadata", "The content of https://SERVER/FederationMetadata/2007-06/FederationMetadata.xml."
    )
    signInEndpoint = url("Sign-in endpoint", "Like https://adfs.fabrikamcorp.com/adfs/ls/.")
    signOutEndpoint = url("Sign-out endpoint", "If it is another one.")
    signingCert = CertificatesField(
        label="Signing certificates", help_text="The token-signing certificates, below each other."
    )
    wants_signed = wants_signed()
    entityId = text("Our entity ID", "Empty: our metadata URL. What the relying party trust calls identifier.")
    thumbprints = lines(
        "Thumbprints",
        "One per line, SHA-1 in hexadecimal digits: only these certificates of the metadata are believed.",
    )
    fieldsMap = mapping("Attribute mapping", 'A JSON object: our name, then theirs: {"email": "mail"}.')
