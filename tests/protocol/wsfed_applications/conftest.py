"""An application that speaks WS-Federation: the intranet, by ASP.NET Core."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.support.dotnet_wsfed import DotNetClient
from tests.support.factories import make_application

REALM, REPLY = "urn:sharepoint:intranet", "https://intranet.example/signin-wsfed"
OUT, CLEAN_UP = "https://intranet.example/bye", f"{REPLY}?wa=wsignoutcleanup1.0"


@pytest.fixture
def intranet(db):
    return make_application(
        "Intranet",
        client_id="intranet-client",
        redirect_uris=f"{REPLY} https://intranet.example/_trust/",
        post_logout_redirect_uris=OUT,
        grant_types=[],
        frontchannel_logout_uri=CLEAN_UP,
        wsfed={"realm": REALM},
    )


@pytest.fixture
def dotnet(intranet):
    client = DotNetClient(REALM, REPLY)
    client.reads(Client().get(f"/wsfed/{intranet.client_id}/FederationMetadata/2007-06/FederationMetadata.xml").content)
    return client
