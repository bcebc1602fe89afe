"""SimpleSAMLphp of Debian as a SAML identity provider, in a folder and on a port of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from tests.support.processes import free_port
from tests.support.upstreams.scripted_saml import Key, the_key

INSTALLED = Path("/usr/share/simplesamlphp")
PASSWORD = "marys-saml-password"  # a test fixture
PEOPLE: Mapping[str, Mapping[str, list[str]]] = {
    "mary": {
        "uid": ["mary"],
        "mail": ["mary@fabrikamcorp.com"],
        "displayName": ["Mary Major"],
        "givenName": ["Mary"],
        "sn": ["Major"],
        "groups": ["Timesheets", "Staff"],
    },
    "john": {"uid": ["john"], "mail": ["john@fabrikamcorp.com"], "displayName": ["John Minor"]},
}
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:"
REDIRECT, POST = BINDING + "HTTP-Redirect", BINDING + "HTTP-POST"

CONFIGURATION = """<?php
require '/etc/simplesamlphp/config.php';
$config = array_merge($config, json_decode(file_get_contents('%(folder)s/config.json'), true));
"""
SOURCES = """<?php
$config = [
    'admin' => ['core:AdminPassword'],
    'people' => ['exampleauth:UserPass'] + json_decode(file_get_contents('%(folder)s/people.json'), true),
];
"""
METADATA = """<?php
$metadata += json_decode(file_get_contents('%(folder)s/%(name)s.json'), true);
"""


class SimpleSaml:
    """`host` 127.0.0.1 makes it another site than a Curfew at localhost, for a browser. `register` tells it who we are."""

    def __init__(
        self, folder: Path, *, host: str = "localhost", key: Key | None = None, logout_type: str = "traditional"
    ) -> None:
        self.folder, self.host, self.key = folder, host, key or the_key("saml.example")
        self.port = free_port()
        self.base = f"http://{host}:{self.port}/simplesaml/"
        self.metadata_url = f"{self.base}saml2/idp/metadata.php"
        self.entity_id = self.metadata_url
        self._providers: dict[str, Any] = {}
        self._parties: dict[str, Any] = {}
        self._lay_out(logout_type)
        self.process = self._start()

    def register(
        self,
        entity_id: str,
        acs: str,
        *,
        logout: str = "",
        certificate: str = "",
        encrypt: bool = False,
        logout_binding: str = REDIRECT,
        **more: Any,
    ) -> None:
        """A service provider, from now on. With its certificate, its requests must be signed."""
        entry: dict[str, Any] = {"AssertionConsumerService": acs, "validate.authnrequest": bool(certificate)}
        if logout:
            entry["SingleLogoutService"] = [{"Binding": logout_binding, "Location": logout}]
        if certificate:
            entry |= {"certData": _body(certificate), "sign.logout": True, "validate.logout": True}
        if encrypt:
            entry["assertion.encryption"] = True
        self._providers[entity_id] = {**entry, **more}
        (self.folder / "saml20-sp-remote.json").write_text(json.dumps(self._providers))

    @property
    def wsfed_url(self) -> str:
        """Where its WS-Federation half, the module `adfs`, is signed in to and out of."""
        return f"{self.base}module.php/adfs/idp/prp.php"

    def register_wsfed(self, realm: str, prp: str) -> None:
        """A relying party that its people can sign in to by WS-Federation, and that is told when they leave."""
        self._parties[realm] = {"prp": prp, "simplesaml.nameidattribute": "uid"}
        (self.folder / "adfs-sp-remote.json").write_text(json.dumps(self._parties))

    def unsolicited(self, entity_id: str, relay_state: str = "") -> str:
        """Where a person's portal links to: sign-in that begins at the identity provider."""
        query = urlencode({"spentityid": entity_id, **({"RelayState": relay_state} if relay_state else {})})
        return f"{self.base}saml2/idp/SSOService.php?{query}"

    def sign_out(self, relay_state: str) -> str:
        """Where somebody leaves the identity provider, and with it every service provider."""
        return f"{self.base}saml2/idp/initSLO.php?{urlencode({'RelayState': relay_state})}"

    @property
    def log(self) -> str:
        path = self.folder / "log" / "simplesamlphp.log"
        return path.read_text() if path.exists() else ""

    def stop(self) -> None:
        """The whole group: workers of a killed parent would go on serving."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)

    def _lay_out(self, logout_type: str) -> None:
        folder = self.folder
        for name in ("config", "metadata", "cert", "data", "log", "tmp", "sess", "doc"):
            (folder / name).mkdir(parents=True)
        (folder / "doc" / "simplesaml").symlink_to(INSTALLED / "www")
        (folder / "cert" / "idp.key").write_text(self.key.private)
        (folder / "cert" / "idp.crt").write_text(self.key.certificate)
        (folder / "config" / "config.php").write_text(CONFIGURATION % {"folder": folder})
        (folder / "config" / "authsources.php").write_text(SOURCES % {"folder": folder})
        (folder / "config.json").write_text(json.dumps(self._settings()))
        (folder / "people.json").write_text(json.dumps({f"{n}:{PASSWORD}": who for n, who in PEOPLE.items()}))
        for name, document in (
            ("saml20-idp-hosted", {"__DYNAMIC:1__": self._hosted(logout_type)}),
            ("saml20-sp-remote", {}),
            ("adfs-idp-hosted", {"__DYNAMIC:1__": self._hosted_wsfed()}),
            ("adfs-sp-remote", {}),
        ):
            (folder / "metadata" / f"{name}.php").write_text(METADATA % {"folder": folder, "name": name})
            (folder / f"{name}.json").write_text(json.dumps(document))

    def _settings(self) -> dict[str, Any]:
        folder = self.folder
        return {
            "baseurlpath": self.base,
            "certdir": f"{folder}/cert/",
            "loggingdir": f"{folder}/log/",
            "datadir": f"{folder}/data/",
            "tempdir": f"{folder}/tmp/",
            "metadatadir": f"{folder}/metadata",
            "metadata.sources": [{"type": "flatfile", "directory": f"{folder}/metadata"}],
            "secretsalt": "salt-of-a-test",
            "auth.adminpassword": "admin-of-a-test",
            "timezone": "UTC",
            "enable.saml20-idp": True,
            "enable.adfs-idp": True,
            "module.enable": {"exampleauth": True, "core": True, "saml": True, "adfs": True},
            "session.cookie.secure": False,
            "session.cookie.samesite": "Lax",
            "session.phpsession.savepath": f"{folder}/sess",
            "store.type": "sql",
            "store.sql.dsn": f"sqlite:{folder}/data/store.sqlite",
            "trusted.url.domains": None,
            "logging.handler": "file",
            "logging.level": 7,
            "language.default": "en",
        }

    def _hosted(self, logout_type: str) -> dict[str, Any]:
        return {
            "host": "__DEFAULT__",
            "privatekey": "idp.key",
            "certificate": "idp.crt",
            "auth": "people",
            "saml20.sign.assertion": True,
            "saml20.sign.response": True,
            "sign.logout": True,
            "validate.logout": True,
            "redirect.sign": True,
            "redirect.validate": True,
            "logouttype": logout_type,
            "SingleSignOnServiceBinding": [REDIRECT, POST],
            "SingleLogoutServiceBinding": [REDIRECT, POST],
            "NameIDFormat": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            "authproc": {
                "10": {
                    "class": "saml:AttributeNameID",
                    "attribute": "uid",
                    "Format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
                }
            },
        }

    def _hosted_wsfed(self) -> dict[str, Any]:
        return {
            "host": "__DEFAULT__",
            "privatekey": "idp.key",
            "certificate": "idp.crt",
            "auth": "people",
            "logouttype": "traditional",
        }

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "SIMPLESAMLPHP_CONFIG_DIR": str(self.folder / "config"),
            "PHP_CLI_SERVER_WORKERS": "4",
        }
        with (self.folder / "php.log").open("ab") as log:
            process = subprocess.Popen(
                ["php", "-S", f"{self.host}:{self.port}", "-t", str(self.folder / "doc")],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready(process)
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
        deadline, said = time.monotonic() + seconds, ""
        while time.monotonic() < deadline and process.poll() is None:
            try:
                answer = requests.get(self.metadata_url, timeout=5)
            except requests.RequestException as error:
                said = str(error)
            else:
                if answer.status_code == 200:
                    return
                said = answer.text
            time.sleep(0.1)
        raise RuntimeError(f"SimpleSAMLphp did not start: {said}")


def _body(certificate: str) -> str:
    return "".join(certificate.split("-----")[2].split())
