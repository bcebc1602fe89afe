"""Why a request of the fan-out got no answer."""

from __future__ import annotations


class Failure(Exception):
    """`kind` is one word: blocked, dns, connect, tls, reset or protocol; the text says more.

    `unheard`: a connection that had served before ended without a word. Most likely it was closed while idle and nobody
    read the request; but somebody may have.
    """

    def __init__(self, kind: str, detail: str, *, unheard: bool = False) -> None:
        super().__init__(detail)
        self.kind, self.unheard = kind, unheard
