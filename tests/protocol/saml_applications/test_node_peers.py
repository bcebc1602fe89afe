"""npm's service providers, as they are published: @node-saml/node-saml and samlify."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from idp.saml.application.settings import own_entity_id
from idp.saml.own_key import own_key
from tests.support.factories import browser
from tests.support.saml_sp import Form, ServiceProvider, path_of
from tests.support.upstreams.scripted_saml import the_key

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[3]


@pytest.fixture
def node():
    program = ROOT / "tests" / "support" / "node_saml.mjs"
    process = subprocess.Popen(
        ["node", str(program)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def say(library, command, **given):
        process.stdin.write(json.dumps({"library": library, "command": command, **given}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    yield say
    process.stdin.close()
    process.wait(30)


@pytest.mark.parametrize("library", ["node-saml", "samlify"])
def test_it_signs_somebody_in_and_out(node, session, library):
    sp = ServiceProvider("npm", key=the_key("npm.example"))
    application = sp.register(mappings={"email": "mail"}, passthroughClaimsWithNoMapping=False, mapIdentities=False)
    address = f"http://localhost:8000/samlp/{application.client_id}"
    begun = node(
        library,
        "begin",
        acs=sp.acs,
        entity=sp.entity_id,
        sso=address,
        slo=f"{address}/logout",
        key=sp.key.private,
        cert=sp.key.certificate,
        idpCert=own_key(timezone.now()).certificate_pem,
        idpEntity=own_entity_id(),
        idpMetadata=Client().get(f"/samlp/metadata/{application.client_id}").content.decode(),
    )
    client = browser(session)
    form = Form.of(client.get(path_of(begun["url"])))
    told = node(library, "take", response=form.fields["SAMLResponse"])
    # samlify asks for a NameID that is an address, node-saml for whatever there is.
    assert told["nameId"] == (session.user.email if library == "samlify" else session.user.user_id)
    assert told["mail"] == "mary@fabrikamcorp.com"
    away = client.get(path_of(node(library, "leave")["url"]))
    answer = Form.of(client.get(away["Location"]) if away.status_code == 302 else away)
    assert node(library, "left", response=answer.fields["SAMLResponse"])["loggedOut"]
    session.refresh_from_db()
    assert session.ended_at is not None
