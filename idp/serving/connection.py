"""One connection of a client: bytes to requests, one after another, and answers back; httptools (llhttp) reads HTTP/1."""

from __future__ import annotations

import asyncio
import enum
import math
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools

from idp.serving import answers, limits
from idp.serving.answers import Form
from idp.serving.environ import Environ, Head, NotARequest, environ_of, with_body, with_too_large_a_body

if TYPE_CHECKING:
    from idp.serving.server import Server

Request = tuple[Environ, Form]


class State(enum.Enum):
    IDLE = "waits for a request"
    HEAD = "reads headers"
    BODY = "reads a body"
    WORKING = "a thread answers"
    SENDING = "the client has to take the answer"
    LEAVING = "drops what the client still sends"


class Connection(asyncio.Protocol):
    """Whoever keeps us waiting has a deadline, `due`; a thread of ours that works has none."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._head, self._body, self._too_large = Head(), b"", False
        self._ahead: deque[Request | bytes] = deque()  # what a client sent before it had its answer
        self._last = False  # nothing is read any more
        self._heard_all = False  # the client closed its half
        self._body_end = math.inf
        self.state, self.since, self.due = State.IDLE, 0.0, math.inf

    # --- from the transport --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # `pause_writing` as soon as an answer does not fit
        self._where = _where(self._transport)
        self._become(State.IDLE, limits.NEXT_REQUEST_WITHIN)
        self._server.enter(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.leave(self, len(self._body))
        self._last, self._body, self.due = True, b"", math.inf
        self._ahead.clear()

    def data_received(self, data: bytes) -> None:
        while data and not self._last:
            data = self._feed(data)

    def eof_received(self) -> bool:
        """A client that says no more may still read its answer."""
        self._last = self._heard_all = True
        if self.state in (State.WORKING, State.SENDING):
            return True
        self._transport.close()
        return False

    def pause_writing(self) -> None:
        if self.state is State.IDLE:  # as `give` has it
            self._become(State.SENDING, limits.TAKEN_WITHIN)

    def resume_writing(self) -> None:
        if self.state is State.SENDING:
            self._next()

    # --- from the parser -----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._head, self._body, self._too_large = Head(), b"", False
        if self.state is State.IDLE:
            self._become(State.HEAD, limits.HEAD_WITHIN)

    def on_url(self, part: bytes) -> None:
        self._head.target += part
        self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head.method:  # else it follows the last chunk of a body, and nobody looks at it
            self._head.headers.append((name.lower(), value))
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        head = self._head
        head.method, head.version = self._parser.get_method().decode(), self._parser.get_http_version()
        if head.method == "CONNECT":
            raise NotARequest("This is no proxy.")
        if self._parser.should_upgrade():
            return
        if any(value.strip().lower() != b"chunked" for value in head.values(b"transfer-encoding")):
            raise NotARequest("The only transfer coding here is chunked.", 501)
        if self._announced() > limits.LONGEST_BODY:
            self._too_large = True
            self.on_message_complete()
        elif self.state is State.HEAD:
            self._become(State.BODY, limits.NEXT_PIECE_WITHIN)
            self._body_end = self._server.now() + limits.BODY_WITHIN
            if head.values(b"expect"):
                self._transport.write(answers.CONTINUE)

    def on_body(self, piece: bytes) -> None:
        if self._too_large:
            return
        self._body += piece
        self._server.hold(self, len(piece))
        if self.state is State.BODY:
            self.due = min(self._server.now() + limits.NEXT_PIECE_WITHIN, self._body_end)
        if len(self._body) > limits.LONGEST_BODY:
            self._server.hold(self, -len(self._body))
            self._body, self._too_large = b"", True
            self.on_message_complete()

    def on_message_complete(self) -> None:
        if self._last or self._parser.should_upgrade():
            return
        if len(self._ahead) == limits.MOST_AHEAD:
            raise NotARequest("Wait for answers before you send more requests.", 429)
        environ = environ_of(self._head, self._where)
        environ = with_too_large_a_body(environ) if self._too_large else with_body(environ, self._body)
        keep_alive = self._parser.should_keep_alive() and not self._too_large and not self._server.stopping
        self._ahead.append((environ, Form(keep_alive, self._head.method == "HEAD", self._head.version)))
        self._server.hold(self, -len(self._body))
        self._body, self._last = b"", not keep_alive
        if self.state in (State.IDLE, State.HEAD, State.BODY):
            self._next()

    # --- what happens next ---------------------------------------------------------------------------------------------

    def expire(self) -> None:
        """The client took longer than it may."""
        if self.state in (State.HEAD, State.BODY):
            self._refuse(408, "The request did not arrive in time.")
        elif self.state is State.IDLE:
            self._transport.close()
        else:
            self._transport.abort()

    def close_if_idle(self) -> None:
        if self.state is State.IDLE:
            self._transport.close()

    def give(self, answer: bytes) -> None:
        """The answer to the request that is worked on."""
        if self._transport.is_closing():
            return
        self._become(State.IDLE, limits.NEXT_REQUEST_WITHIN)
        self._transport.write(answer)
        if self.state is State.IDLE:
            self._next()

    def _feed(self, data: bytes) -> bytes:
        """Returns what is to be read again: a request that offers another protocol, without its offer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = httptools.HttpRequestParser(self)
            return self._head.without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            self._not_a_request(error.__context__)
        except httptools.HttpParserError:
            self._not_a_request(None)
        return b""

    def _not_a_request(self, why: BaseException | None) -> None:
        if self._last:
            return
        if isinstance(why, NotARequest):
            self._refuse(why.status, why.reason)
        elif why is None:
            self._refuse(400, "This is not HTTP/1.1 as RFC 9112 has it.")
        else:
            raise why

    def _next(self) -> None:
        """Answer what has been read; else read."""
        if self._ahead:
            self._work(self._ahead.popleft())
        elif self._last or self._server.stopping:
            self._say_goodbye()
        else:
            self._become(State.IDLE, limits.NEXT_REQUEST_WITHIN)
            self._transport.resume_reading()

    def _work(self, request: Request | bytes) -> None:
        self._become(State.WORKING, math.inf)
        self._transport.pause_reading()
        if isinstance(request, bytes):
            self.give(request)
        else:
            self._server.answer(self, *request)

    def _refuse(self, status: int, reason: str) -> None:
        """After what came before has been answered."""
        self._server.hold(self, -len(self._body))
        self._body, self._last = b"", True
        self._ahead.append(answers.refusal(status, reason))
        if self.state in (State.IDLE, State.HEAD, State.BODY):
            self._next()

    def _say_goodbye(self) -> None:
        """To close at once would reset the connection if the client still sends, and it might never read the answer."""
        self._last = True
        self._become(State.LEAVING, limits.REST_WITHIN)
        if self._heard_all or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._transport.resume_reading()

    def _become(self, state: State, within: float) -> None:
        self.state, self.since = state, self._server.now()
        self.due = self.since + within

    def _announced(self) -> int:
        return int((self._head.values(b"content-length") or [b"0"])[0])

    def _count(self, size: int) -> None:
        self._head.size += size
        if self._head.size > limits.LONGEST_HEAD or len(self._head.headers) > limits.MOST_HEADERS:
            raise NotARequest("The address and the headers of the request are too long.", 431)


def _where(transport: asyncio.Transport) -> dict[str, Any]:
    """Both ends of the connection, as WSGI names them."""
    ours, theirs = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return {
        "REMOTE_ADDR": theirs[0] if isinstance(theirs, tuple) else "",
        "SERVER_NAME": ours[0] if isinstance(ours, tuple) else "localhost",
        "SERVER_PORT": str(ours[1]) if isinstance(ours, tuple) else "0",
        "wsgi.url_scheme": "https" if transport.get_extra_info("ssl_object") else "http",
    }
