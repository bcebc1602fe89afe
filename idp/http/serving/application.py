"""What Granian serves: ASGI outside, because its event loop needs no thread to read a request; Django by WSGI inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from django.conf import settings

from idp.http.serving import answers
from idp.http.serving.answers import Django, WsgiAnswer
from idp.http.serving.bodies import Bodies, Broken, Receive, TooLarge, TooSlow
from idp.http.serving.environ import environ_of, refuse, with_body, with_too_large_a_body
from idp.http.serving.limits import allow_connections
from idp.http.serving.threads import Threads
from idp.wsgi import application as django

Send = Callable[[dict[str, Any]], Awaitable[None]]
ALIVE = answers.in_json(200, {"status": "ok"})
LATE = answers.refusal(408, "The request did not arrive in time.")
BROKEN = answers.refusal(400, "The body of the request cannot be read.")


class AsgiApplication:
    """Strangers can keep connections waiting, never threads."""

    def __init__(self, django: Django, threads: int) -> None:
        self._threads = Threads(django, threads)
        self._bodies = Bodies()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        answer = await self._answer(scope, receive)
        headers = [*answer.headers, *_length(answer)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> WsgiAnswer:
        if scope["path"] == "/livez" and scope["method"] in ("GET", "HEAD"):
            return ALIVE  # by no thread: they may all wait for a database
        if unfit := refuse(scope):
            return answers.refusal(*unfit)
        environ = environ_of(scope)
        try:
            body = await self._bodies.read(scope, receive)
        except TooLarge:
            answer = await self._threads.answer(with_too_large_a_body(environ), 0)
            return replace(answer, headers=[*answer.headers, answers.CLOSE])
        except TooSlow:
            return LATE
        except Broken:
            return BROKEN
        return await self._threads.answer(with_body(environ, body), len(body))


def _length(answer: WsgiAnswer) -> list[tuple[bytes, bytes]]:
    """An answer to HEAD has the length of one to GET."""
    if answer.status in (204, 304) or any(name == b"content-length" for name, _ in answer.headers):
        return []
    return [(b"content-length", b"%d" % len(answer.body))]


allow_connections()
application = AsgiApplication(django, settings.WEB_THREADS)
