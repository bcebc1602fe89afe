"""Reading one HTTP/1.1 answer (RFC 9112): llhttp parses, this keeps the little that a delivery needs, within limits."""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from idp.outbound.failure import Failure

# Bytes of a body that are read: SAML answers hold certificates. What is longer costs the connection.
BODY_LIMIT = 16_384
HEAD_LIMIT = 16_384  # bytes of status line and headers, those of 1xx answers included
RAW_LIMIT = 65_536  # bytes in all: a body in small chunks is framing above all
LONGEST_VALUE = 100  # characters of a header that are kept
# Servers that end lines with LF alone, fold headers or pad chunk sizes are read as browsers read them (RFC 9112 sections 2.2,
# 5.2). What they get wrong reaches nobody else: a connection serves one origin.
LENIENCIES = {"lenient_headers": True, "lenient_optional_cr_before_lf": True, "lenient_spaces_after_chunk_size": True}


class HttpAnswer:
    """Feed it what arrives until `is_complete`. A new one for each request: nothing of one answer reaches the next."""

    def __init__(self) -> None:
        self.status = 0  # of the final answer, as soon as its head is read
        self.retry_after = ""
        self.is_complete = False  # all is read that will be
        self.is_reusable = False  # the connection may serve another request
        self._body = b""
        self._has_length = False  # the answer says where it ends; else it ends with the connection
        self._is_read = False  # to its last byte
        self._received = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**LENIENCIES)

    @property
    def has_begun(self) -> bool:
        return self._received > 0

    @property
    def body(self) -> str:
        return self._body.decode("utf-8", "replace")

    def feed(self, data: bytes) -> None:
        """Raises Failure for what is no answer, or too long for one."""
        rest = data
        if not self.status:
            room = HEAD_LIMIT - self._received
            self._parse(data[:room])
            rest = data[room:]
            if rest and not self.status:
                raise Failure("protocol", f"the head of the answer is longer than {HEAD_LIMIT} bytes")
        if rest:
            self._parse(rest)
        self._received += len(data)
        if self._received > RAW_LIMIT and not self.is_complete:
            raise Failure("protocol", f"the answer is longer than {RAW_LIMIT} bytes")

    def end(self) -> None:
        """The connection ended, which is the end of an answer that says no other."""
        if self.status and not self._has_length:
            self.is_complete, self._parser = True, None

    def _parse(self, data: bytes) -> None:
        if self._parser is None:  # complete, and this comes after it
            self.is_reusable = False
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise Failure("protocol", "the answer changes the protocol") from None
        except HttpParserError as error:
            self.is_reusable, self._parser = False, None
            if not self.is_complete:
                raise Failure("protocol", f"no HTTP answer: {error}") from None
        if self.is_complete:
            self._parser = None

    # --- called by the parser ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_read:
            raise ValueError("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:  # of a trailer
            return
        name = name.lower()
        if name == b"retry-after":
            self.retry_after = self.retry_after or value[:LONGEST_VALUE].decode("latin-1")
        elif name == b"content-length" or (name == b"transfer-encoding" and _is_chunked(value)):
            self._has_length = True

    def on_headers_complete(self) -> None:
        if self._parser is None:
            return
        status = self._parser.get_status_code()
        if status < 100:
            raise ValueError("no such status")
        if status < 200:  # interim: the answer is still to come
            self._has_length, self.retry_after = False, ""
            return
        self.status, self.is_reusable = status, self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        room = BODY_LIMIT - len(self._body)
        self._body += data[:room]
        if len(data) > room:
            self.is_complete, self.is_reusable = True, False

    def on_message_complete(self) -> None:
        if self.status:
            self.is_complete = self._is_read = True


def _is_chunked(transfer_encoding: bytes) -> bool:
    """The last coding decides (RFC 9112 section 6.3)."""
    return transfer_encoding.lower().rpartition(b",")[2].strip() == b"chunked"
