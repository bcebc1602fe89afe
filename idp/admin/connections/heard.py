"""What an identity provider upstream told us lately, as the connection's page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """One request. `level` is fine, warn or bad; `text` is one sentence on the request and its outcome, without secrets."""

    at: datetime
    level: str
    text: str
    url: str = ""  # of the admin page that tells more
