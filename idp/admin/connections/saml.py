"""The form of a SAML connection."""

from __future__ import annotations

from typing import ClassVar

from django import forms

from idp.admin.connections.fields import (
    CertificatesField,
    SeveralField,
    Topic,
    choice,
    document,
    email_is_verified,
    mapping,
    text,
    tick,
    url,
    wants_signed,
)
from idp.admin.connections.forms import ConnectionForm
from idp.saml.names import POST, REDIRECT

BINDINGS = [("", "As the metadata say (usual)"), (REDIRECT, "HTTP-Redirect"), (POST, "HTTP-POST")]


class SamlForm(ConnectionForm):
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic(
            "What the identity provider gave you",
            ("metadataUrl", "metadataXml"),
            "One of the two is enough. Metadata by URL follow the provider when it changes its certificate.",
        ),
        Topic(
            "Without metadata",
            ("signInEndpoint", "signOutEndpoint", "idpEntityId", "signingCert"),
            "Needed only if the provider has no metadata; what you type here wins over them.",
            collapsed=True,
        ),
        Topic("Who somebody is", ("user_id_attribute", "fieldsMap", "email_is_verified", "domain_aliases")),
        Topic(
            "Requests and assertions",
            (
                "entityId",
                "wants_signed",
                "signSAMLRequest",
                "protocolBinding",
                "signatureAlgorithm",
                "digestAlgorithm",
                "disableSignout",
                "decryptionKey",
            ),
            collapsed=True,
        ),
        Topic(
            "Sign-in that begins there",
            ("idpinitiated__enabled", "idpinitiated__client_id", "idpinitiated__client_authorizequery"),
            "People click on a tile of their portal. Off is safer: nobody can be signed in without having asked for it.",
            collapsed=True,
        ),
        Topic(
            "Global Token Revocation",
            ("global_token_revocation_jwt_iss", "global_token_revocation_jwt_sub"),
            "What the signed requests of the provider carry. Without both of them no such request is believed.",
            collapsed=True,
        ),
    )
    secret_help: ClassVar[dict[str, str]] = {
        "decryptionKey": "PEM. Only if the provider encrypts assertions; it gets the certificate that belongs to it."
    }

    metadataUrl = url("Metadata URL", "Like https://fabrikam.okta.com/app/exk1/sso/saml/metadata.")
    metadataXml = document("Metadata", "The XML document, if its URL cannot be reached from here.")
    signInEndpoint = url("Sign-in URL", "Single sign-on service, HTTP-Redirect or HTTP-POST.")
    signOutEndpoint = url("Sign-out URL", "Single logout service, HTTP-Redirect.")
    idpEntityId = text("Entity ID of the provider", "The Issuer of its assertions.")
    entityId = text("Our entity ID", "Empty: our metadata URL. Change it only if the provider insists on another one.")
    signingCert = CertificatesField(
        label="Signing certificates",
        help_text="PEM or base64. While the provider changes its certificate, paste the old and the new one below each other.",
    )
    user_id_attribute = SeveralField(
        label="Attribute with the user ID",
        help_text="Never changes and never belongs to somebody else, like objectGUID. One per line: the first that is there. "
        "Empty: the NameID.",
        widget=forms.Textarea(attrs={"rows": 2, "class": "lines", "spellcheck": "false"}),
    )
    fieldsMap = mapping(
        "Attribute mapping",
        'A JSON object: our name, then theirs: {"email": "mail", "name": ["displayName", "cn"]}.',
    )
    email_is_verified = email_is_verified()
    wants_signed = wants_signed()
    signSAMLRequest = tick("Sign requests", "Paste the certificate of our metadata there, if it checks them.")
    protocolBinding = choice("How requests travel", BINDINGS, "Of the bindings that the provider offers.")
    signatureAlgorithm = choice("Signature of requests", [("rsa-sha256", "RSA with SHA-256")])
    digestAlgorithm = choice("Digest of requests", [("sha256", "SHA-256")])
    disableSignout = tick("No sign-out there", "Federated logout does not go on to this provider.")
    idpinitiated__enabled = tick("Accept it", "Assertions that nobody asked for are then accepted, once each.")
    idpinitiated__client_id = text("Client ID", "The application that people come to.")
    idpinitiated__client_authorizequery = text(
        "Parameters of its request", "Like redirect_uri=https://app.example.com/callback&scope=openid."
    )
    global_token_revocation_jwt_iss = text(
        "Issuer", "In Okta: the Issuer of View SAML setup instructions, like http://www.okta.com/exk1."
    )
    global_token_revocation_jwt_sub = text(
        "Subject", "In Okta: the id of the application, like 0oa1. It is in its URL."
    )
