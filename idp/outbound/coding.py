"""Answers that come compressed although we ask for none: some servers and the proxies in front of them do it to everybody."""

from __future__ import annotations

import zlib

# Content-Encoding -> `wbits` of zlib: what may be meant by it (RFC 9110 section 8.4.1; "deflate" is sent without zlib's header too).
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
# What says that nothing was done to the body. A charset is no coding, but many servers write it there; HTTP clients read past it.
_IN_CLEAR = frozenset({"", "identity", "none", "utf-8", "utf8", "binary", "8bit", "7bit"})


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """What the body says in clear, or more than `limit` bytes of it if it is longer than that.

    `coding` is the Content-Encoding header. Raises ValueError with the end of a sentence.
    """
    coding = coding.strip().lower()
    if coding in _IN_CLEAR or not body:
        return body
    if coding not in _WINDOWS:
        raise ValueError(f"is in the coding {coding[:40]}, which we did not ask for")
    for window in _WINDOWS[coding]:
        try:
            return _inflated(body, window, limit)
        except zlib.error:
            continue
    raise ValueError(f"is not {coding}, as it says that it is")


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    inflater = zlib.decompressobj(window)
    clear = inflater.decompress(body, limit + 1)  # a few bytes can hold gigabytes
    if len(clear) <= limit and not inflater.eof:
        raise ValueError("ends too early")
    return clear
