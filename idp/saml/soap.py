"""The SOAP binding (SAML bindings section 3.2): one message in the body of an envelope, and the answer in the same exchange."""

from __future__ import annotations

from lxml import etree

from idp.saml import xml
from idp.saml.structure import BadResponse
from idp.saml.xml import Element, Unreadable

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
MEDIA_TYPE = "text/xml"
ACTION = "http://www.oasis-open.org/committees/security"
HEADERS = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8", "SOAPAction": f'"{ACTION}"'}
LONGEST = 100_000  # bytes


def envelope(message: bytes) -> bytes:
    """`message` as it is, signed or not: nothing in it is written anew."""
    return b'<soap:Envelope xmlns:soap="%b"><soap:Body>%b</soap:Body></soap:Envelope>' % (ENVELOPE.encode(), message)


def fault(words: str) -> bytes:
    """What is wrong with a request (SAML bindings section 3.2.3.3)."""
    inner = etree.Element(f"{{{ENVELOPE}}}Fault", nsmap={"soap": ENVELOPE})
    etree.SubElement(inner, "faultcode").text = "soap:Client"
    etree.SubElement(inner, "faultstring").text = xml.sayable(words)
    return envelope(etree.tostring(inner))


def opened(data: bytes) -> bytes:
    """The message in the body, for itself, with the namespaces that it uses. Raises BadResponse."""
    if len(data) > LONGEST:
        raise BadResponse(f"is longer than {LONGEST:,} bytes")
    try:
        root = xml.parse_message(data.removeprefix(xml.BYTE_ORDER_MARK))
    except Unreadable as error:
        raise BadResponse(str(error)) from None
    return etree.tostring(_inside(root), with_tail=False)  # type: ignore[no-any-return]


def _inside(root: Element) -> Element:
    bodies = root.findall(f"{{{ENVELOPE}}}Body")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or len(bodies) != 1 or len(bodies[0]) != 1:
        raise BadResponse("is not a SOAP envelope with one message")
    return bodies[0][0]
