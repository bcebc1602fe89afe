"""Where service providers are registered to live, and what each of them gets: keys, our metadata, a certificate for TLS."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import trustme

from idp.saml import sp_metadata, x509
from idp.saml.sp_metadata import SpMetadata
from tests.rps.running import program
from tests.rps.saml.person import Person
from tests.support.upstreams.scripted_saml import Key, the_key

HERE = Path(__file__).parent
MODULES = Path("/usr/lib/apache2/modules")
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
SHIBBOLETH, MELLON, SIMPLE = "shibboleth", "mellon", "simplesamlphp"
# mellon names its host in its cookie, and browsers take none for a name without a dot.
HOSTS = {SHIBBOLETH: "https://localhost", MELLON: "https://127.0.0.1", SIMPLE: "http://localhost"}
AUTHORITY = "authority.pem"


def address(name: str, ports: Mapping[str, int]) -> str:
    return f"{HOSTS[name]}:{ports[name]}"


def entity(name: str, ports: Mapping[str, int]) -> str:
    return f"{address(name, ports)}/{name}"


def clients(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """As the tenant file has them."""
    at = {name: address(name, ports) for name in HOSTS}
    of_shibboleth, of_simple = f"{at[SHIBBOLETH]}/Shibboleth.sso", f"{at[SIMPLE]}/simplesaml/module.php/saml/sp"
    return [
        _client(
            SHIBBOLETH,
            ports,
            f"{of_shibboleth}/SAML2/POST",
            {"soap": f"{of_shibboleth}/SLO/SOAP", "url": f"{of_shibboleth}/SLO/Redirect"},
        ),
        _client(MELLON, ports, f"{at[MELLON]}/mellon/postResponse", {"url": f"{at[MELLON]}/mellon/logout"}),
        _client(
            SIMPLE,
            ports,
            f"{of_simple}/saml2-acs.php/default-sp",
            {"url": f"{of_simple}/saml2-logout.php/default-sp"},
        ),
    ]


def _client(name: str, ports: Mapping[str, int], acs: str, logout: dict[str, str]) -> dict[str, Any]:
    saml = {
        "audience": entity(name, ports),
        "signingCert": _key(name).certificate,
        "mappings": {"email": MAIL},
        "passthroughClaimsWithNoMapping": False,
        "mapIdentities": False,
        "createUpnClaim": False,
        "binding": REDIRECT,
        "logout": logout,
    }
    return {
        "client_id": name,
        "name": name,
        "app_type": "regular_web",
        "grant_types": [],
        "callbacks": [acs],
        "addons": {"samlp": saml},
    }


def _key(name: str) -> Key:
    return the_key(f"{name}.example")


@dataclass(frozen=True, slots=True)
class Providers:
    """Beside a running Curfew at `issuer`."""

    issuer: str
    folder: Path
    ports: Mapping[str, int]
    authority: trustme.CA
    trusted: Path

    @property
    def idp(self) -> str:
        """Our entity id."""
        return f"urn:{self.issuer.split('/')[2]}"

    def url(self, name: str) -> str:
        return address(name, self.ports)

    def describes(self, name: str, url: str) -> SpMetadata:
        """What the provider's own metadata say, as an import would read them; it is what is registered."""
        found = sp_metadata.read(requests.get(url, timeout=60, verify=str(self.trusted)).content)
        [registered] = [client for client in clients(self.ports) if client["client_id"] == name]
        saml = registered["addons"]["samlp"]
        assert (found.entity_id, registered["callbacks"][0] in found.acs) == (saml["audience"], True)
        assert saml["logout"]["url"] in found.logout.values()
        assert [each.pem for each in found.certificates] == [each.pem for each in x509.read(saml["signingCert"])]
        return found

    def person(self) -> Person:
        return Person(self.trusted)

    def furnish(self, name: str) -> Path:
        """A folder with what a provider needs, and two pages."""
        folder, key = self.folder / name, _key(name)
        for path, text in (("index.html", "signed out"), ("private/index.html", "private page")):
            (folder / "htdocs" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "htdocs" / path).write_text(text)
        (folder / "sp.key").write_text(key.private)
        (folder / "sp.crt").write_text(key.certificate)
        certificate = self.fetch_metadata(name).partition("X509Certificate>")[2].partition("<")[0].strip()
        (folder / "idp.crt").write_text(f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n")
        host = HOSTS[name].rpartition("/")[2]
        self.authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
        return folder

    def fetch_metadata(self, name: str) -> str:
        """Ours, into its folder."""
        metadata = requests.get(f"{self.issuer}samlp/metadata/{name}", timeout=60)
        metadata.raise_for_status()
        (self.folder / name / "idp.xml").write_bytes(metadata.content)
        return metadata.text

    def apache(self, name: str) -> AbstractContextManager[None]:
        """With the module of this name in what was furnished, until the block ends."""
        folder = self.folder / name
        environment = {
            "FOLDER": str(folder),
            "MODULES": str(MODULES),
            "PORT": str(self.ports[name]),
            "RUN_AS": _server(),
            "ENTITY": entity(name, self.ports),
            "HOME_URL": self.url(name),
        }
        argv = [shutil.which("apache2", path="/usr/sbin:/usr/bin") or "apache2", "-DFOREGROUND", f"-D{name.upper()}"]
        return program([*argv, "-f", str(HERE / "apache.conf")], environment, folder, self.ports[name])


def _server() -> str:
    """Who serves: Apache that root starts wants to be somebody else."""
    return pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else "www-data"
