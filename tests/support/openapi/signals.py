"""Whose security events a connection believes."""

from __future__ import annotations

from idp.connections.shared_signals import METHODS
from tests.support.openapi.words import Bodies, answer, body, many, mapping, maybe, one_of, ref, switch, text, time

METHOD = one_of(METHODS, "Pushed to us, or asked for by us.")
EVENTS = mapping("What an event does, by the event's name or URI (docs/shared-signals.md).", of=text())
COMPONENTS = {
    "Signals": answer(
        {
            "issuer": text(),
            "jwks_uri": maybe(text("Null: discovered.")),
            "audience": many(text()),
            "method": METHOD,
            "events": EVENTS,
            "client_id": maybe(text("Who asks the transmitter for access tokens.")),
            "token_endpoint": maybe(text()),
            "has_token": switch("There is an access token, which nobody is shown."),
            "has_secret": switch("There is a secret of `client_id`, which nobody is shown."),
            "endpoint": text("Where events are pushed to."),
            "stream": maybe(ref("SignalStream")),
            "last_event": maybe(
                answer(
                    {
                        "at": time(),
                        "issued_at": maybe(time()),
                        "type": maybe(text()),
                        "effect": maybe(text()),
                        "error": maybe(text("Why it was refused (RFC 8935).")),
                    }
                )
            ),
        }
    ),
    "SignalStream": answer(
        {
            "stream_id": text(),
            "issuer": text(),
            "method": METHOD,
            "status": text("As the transmitter says."),
            "reason": maybe(text()),
            "connected_at": time(),
            "verified_at": maybe(time("When the last test event came.")),
            "polled_at": maybe(time("When a poll was answered last.")),
        }
    ),
}
SAID = body(
    {"issuer": text("Exactly the iss of the events.", minLength=1)},
    jwks_uri=text(),
    audience={"anyOf": [text(), many(text())]},
    method=METHOD,
    events=EVENTS,
    client_id=text(),
    token_endpoint=text(),
    token=text("An access token of the transmitter."),
    secret=text("Of `client_id`, instead of a token."),
)
ONE = "connections/{connection_id}/signals"
BODIES = {
    f"GET {ONE}": Bodies(ref("Signals")),
    f"PUT {ONE}": Bodies(ref("Signals"), SAID),
    f"DELETE {ONE}": Bodies(also=(409,)),
    f"POST {ONE}/connect": Bodies(ref("Signals"), also=(502,)),
    f"POST {ONE}/verify": Bodies(also=(502,)),
    f"POST {ONE}/disconnect": Bodies(answer({"deleted_there": switch()}, {"reason": text("Why it is not.")})),
}
