"""How long and how much a stranger may keep us waiting. Seconds and bytes; each is for one process."""

from __future__ import annotations

import resource

HEAD_WITHIN = 60.0  # request line and headers; also how long an idle connection is kept, which proxies must not exceed
NEXT_PIECE_WITHIN = 5.0  # of a body
BODY_WITHIN = 30.0  # the whole of it
LONGEST_HEAD = 64 * 1024  # request line and headers
MOST_HEADERS = 100
LONGEST_BODY = 1_000_000
MOST_CONNECTIONS = 5000  # the next ones wait in the kernel until one of these ends
WAITS = 5.0  # for a thread; whoever has waited longer is told to try again, at once
MOST_WAITING = 1000  # whole requests that no thread has answered yet; the next one is told to try again
MOST_HELD = 64_000_000  # bytes of their bodies
MOST_BODIES = 64  # that are read at a time, each of LONGEST_BODY at most; the one that began first gives way to another
SPARE_FILES = 100  # descriptors for everything that is no connection


def allow_connections() -> None:
    """Let the process open as many files as that, or as many as it may."""
    wanted = MOST_CONNECTIONS + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
