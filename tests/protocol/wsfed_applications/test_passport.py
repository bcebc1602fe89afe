"""npm's passport-wsfed-saml2 as it is published, the client of WS-Federation that Auth0 itself runs.

Its xml-crypto is a fork that no registry has; package.json gives it the release of npm that was forked.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from idp.saml.application.settings import CLAIMS, own_entity_id
from idp.saml.own_key import own_key
from tests.protocol.wsfed_applications.conftest import OUT, REALM, REPLY
from tests.support.factories import browser
from tests.support.saml_sp import Form, path_of
from tests.support.stack import ROOT

pytestmark = pytest.mark.django_db
PROGRAM = Path(ROOT) / "tests" / "support" / "passport_wsfed.cjs"


@pytest.fixture
def passport():
    process = subprocess.Popen(
        ["node", str(PROGRAM)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def say(command, **given):
        process.stdin.write(json.dumps({"command": command, **given}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    yield say
    process.stdin.close()
    process.wait(30)


def options(certificate):
    return {
        "realm": REALM,
        "homeRealm": "",
        "identityProviderUrl": "http://localhost:8000/wsfed/intranet-client",
        "wreply": REPLY,
        "cert": "".join(certificate.split("-----")[2].split()),
        "checkAudience": True,
        "checkExpiration": True,
        "checkRecipient": True,
    }


@pytest.mark.parametrize("token_type", ["saml11", "saml20"])
def test_it_signs_somebody_in_and_out(passport, intranet, session, token_type):
    intranet.wsfed |= {"tokenType": token_type}
    intranet.save()
    client = browser(session)
    begun = passport("begin", options=options(own_key(timezone.now()).certificate_pem), wctx="/intranet?a=b&c")
    form = Form.of(client.get(path_of(begun["url"])))
    assert (form.action, form.fields["wctx"]) == (REPLY, "/intranet?a=b&c")
    taken = passport("take", form=form.fields, url=REPLY)
    assert "user" in taken, taken
    user = taken["user"]
    assert user["issuer"] == own_entity_id()
    assert user[CLAIMS + "nameidentifier"] == session.user.user_id
    assert user[CLAIMS + "emailaddress"] == "mary@fabrikamcorp.com"
    changed = {**form.fields, "wresult": form.fields["wresult"].replace("mary@", "ada@")}
    assert "refused" in passport("take", form=changed, url=REPLY)
    # It has no sign-out of its own: applications lead there as Auth0's quickstart does.
    away = urlencode({"wa": "wsignout1.0", "wtrealm": REALM, "wreply": OUT})
    page = client.get(
        f"/wsfed/intranet-client?{away}", headers={"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    )
    assert page.status_code == 302
    session.refresh_from_db()
    assert session.ended_at is not None
