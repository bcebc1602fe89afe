"""Somebody's browser, as far as SAML needs one: cookies, redirects, forms that post themselves, and the frames of a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from lxml import html

from tests.rps.running import MARY, PASSWORD

MESSAGES = frozenset({"SAMLRequest", "SAMLResponse"})
PAGE = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
MOST_FORMS = 10


class Person:
    def __init__(self, trusted: Path) -> None:
        self.session = requests.Session()
        self.session.verify, self.session.trust_env = str(trusted), False
        self.session.headers.update(PAGE)

    def opens(self, url: str, method: str = "GET", **how: Any) -> requests.Response:
        """The page that this leads to in the end."""
        answer = self.session.request(method, url, timeout=60, **how)
        for _ in range(MOST_FORMS):
            form = _message(answer)
            if form is None:
                return answer
            answer = self.session.post(urljoin(answer.url, form.action), dict(form.form_values()), timeout=60)
        raise AssertionError(f"forms without end, at {answer.url}")

    def is_led_away(self, url: str) -> bool:
        """Whether this page asks for a sign-in."""
        return self.session.get(url, timeout=60, allow_redirects=False).is_redirect

    def signs_in(self, login_page: requests.Response) -> requests.Response:
        """What comes after the login page that the browser is on."""
        form = next(form for form in html.fromstring(login_page.content).forms if "username" in form.fields)
        fields = {**dict(form.form_values()), "username": MARY, "password": PASSWORD}
        action = urljoin(login_page.url, form.action or "")
        return self.opens(action, "POST", data=fields, headers={"Referer": login_page.url})

    def loads_frames(self, page: requests.Response) -> None:
        for address in html.fromstring(page.content).xpath("//@data-frame"):
            self.opens(urljoin(page.url, address))

    def rows(self, page: requests.Response) -> dict[str, str]:
        """Each application of a sign-out page, and how it stands now."""
        fresh = html.fromstring(self.session.get(page.url, timeout=60).content)
        return {row.get("data-name"): row.get("data-state") for row in fresh.xpath("//li[@data-name]")}


def _message(answer: requests.Response) -> Any:
    """The form with a message of SAML that the page posts by itself."""
    if not answer.content.strip() or "html" not in answer.headers.get("Content-Type", ""):
        return None
    return next((form for form in html.fromstring(answer.content).forms if MESSAGES & set(form.fields)), None)
