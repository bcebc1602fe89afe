"""How long and how much a stranger may keep us waiting. Seconds and bytes; each is for one process."""

HEAD_WITHIN = 10.0  # request line and headers; also how long an idle connection is kept
NEXT_PIECE_WITHIN = 5.0  # of a body
BODY_WITHIN = 30.0  # the whole of it
LONGEST_HEAD = 64 * 1024  # request line and headers
MOST_HEADERS = 100
LONGEST_BODY = 1_000_000
MOST_BODIES = 64  # that are read at a time, each of LONGEST_BODY at most; the one that began first gives way to another
