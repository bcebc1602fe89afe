"""Authentication requests (SAML core section 3.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from idp.saml.names import ASSERTION, POST, PROTOCOL, UNSPECIFIED, saml, samlp
from idp.saml.sending import timestamp


@dataclass(frozen=True, slots=True)
class AuthnRequest:
    """What one request says."""

    id: str
    issuer: str
    destination: str
    acs: str
    issued_at: datetime
    force: bool = False
    contexts: tuple[str, ...] = ()  # one of these authentication context classes is to be reached (section 3.3.2.2.1)

    def xml(self) -> bytes:
        root = etree.Element(samlp("AuthnRequest"), nsmap={"samlp": PROTOCOL, "saml": ASSERTION})
        root.set("ID", self.id)
        root.set("Version", "2.0")
        root.set("IssueInstant", timestamp(self.issued_at))
        root.set("Destination", self.destination)
        root.set("AssertionConsumerServiceURL", self.acs)
        root.set("ProtocolBinding", POST)
        if self.force:
            root.set("ForceAuthn", "true")
        etree.SubElement(root, saml("Issuer")).text = self.issuer
        etree.SubElement(root, samlp("NameIDPolicy"), Format=UNSPECIFIED, AllowCreate="true")
        if self.contexts:
            requested = etree.SubElement(root, samlp("RequestedAuthnContext"), Comparison="exact")
            for context in self.contexts:
                etree.SubElement(requested, saml("AuthnContextClassRef")).text = context
        return etree.tostring(root)  # type: ignore[no-any-return]
