"""How long and how much a stranger may keep us waiting. Seconds and bytes; each is for one process."""

from __future__ import annotations

import resource

NEXT_REQUEST_WITHIN = 75.0  # idle; longer than the 60 s for which nginx keeps its own end
HEAD_WITHIN = 10.0  # from the first byte of a request to the last of its headers
NEXT_PIECE_WITHIN = 5.0  # of a body
BODY_WITHIN = 30.0  # the whole of it
TAKEN_WITHIN = 30.0  # from the moment when an answer does not fit into the socket to the one when it does
REST_WITHIN = 3.0  # what a client still sends after we refused its request is read and dropped, so that it reads why

LONGEST_HEAD = 64 * 1024  # request line and headers
MOST_HEADERS = 100
LONGEST_BODY = 1_000_000
MOST_BODIES = 64_000_000  # bytes of unfinished bodies
MOST_AHEAD = 20  # requests that a client sends before it has its answers
MOST_CONNECTIONS = 1000
SPARE_FILES = 100  # descriptors for everything that is no connection


def connections() -> int:
    """As many as the process may open; the soft limit is raised where the hard one allows it."""
    wanted = MOST_CONNECTIONS + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(10, min(MOST_CONNECTIONS, soft - SPARE_FILES))
