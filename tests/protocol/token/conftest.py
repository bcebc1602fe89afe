"""A key of a client, and the server where the client publishes it."""

import json
import threading
from http.server import ThreadingHTTPServer

import pytest
from joserfc.jwk import ECKey

from tests.protocol.token.support import Keys


@pytest.fixture
def key():
    return ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})


@pytest.fixture
def key_server(key, settings):
    Keys.document, Keys.asked = json.dumps({"keys": [key.as_dict(private=False)]}).encode(), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
