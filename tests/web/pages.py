"""A visitor of the pages who looks closely: every page that is opened is parsed strictly and inspected."""

import contextvars
import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from xml.etree.ElementTree import Element

import html5lib
import pytest
from flask import Flask
from sqlalchemy import event
from werkzeug.test import TestResponse

from sc_stim.extensions import db
from sc_stim.models import User
from tests import builders

FOOTER = "Not a certified medical device. Never changes therapy."
OURS = re.compile(r"[/?#]|tel:\+?\d+$")  # addresses a page may name

_addresses = itertools.count(1)  # the sign-in throttle counts per address: each test has its own


class Page:
    """One parsed page."""

    def __init__(self, response: TestResponse) -> None:
        self.status = response.status_code
        self.html = response.text
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        self.root: Element = parser.parse(self.html)

    def all(self, tag: str) -> list[Element]:
        return list(self.root.iter(tag))

    def texts(self, tag: str) -> list[str]:
        return [text(element) for element in self.all(tag)]

    def within(self, element_id: str) -> str:
        """The text of the element with this id."""
        return text(next(element for element in self.root.iter() if element.get("id") == element_id))

    @property
    def text(self) -> str:
        return text(self.all("body")[0])

    @property
    def title(self) -> str:
        return self.texts("title")[0]

    @property
    def token(self) -> str:
        return next(
            field.get("value", "") for field in self.all("input") if field.get("name") == "csrf_token"
        )


class Visitor:
    """A browser without a screen: keeps its cookies and sends the token of the page it saw last."""

    def __init__(self, app: Flask, address: str) -> None:
        self.app = app
        self.address = address
        self.client = app.test_client()
        self.token = ""

    def become(self, user: User) -> None:
        """Be signed in, without the time that checking a password takes."""
        with self.client.session_transaction() as session:
            session.permanent = True
            session["_user_id"] = user.get_id()

    def sign_in(self, user: User, password: str = builders.PASSWORD, next_page: str = "") -> TestResponse:
        path = "/sign-in" + (f"?next={next_page}" if next_page else "")
        self.page(path)
        return self.post(path, email=user.email, password=password)

    def page(self, path: str, status: int = 200) -> Page:
        """Open a page and inspect it."""
        return self._inspected(self.get(path), path, status)

    def submitted(self, path: str, status: int = 200, **form: str) -> Page:
        """Send a form that is answered by a page."""
        return self._inspected(self.post(path, **form), path, status)

    def done(self, path: str, **form: str) -> Page:
        """Send a form that is answered by a redirect, and open where it leads."""
        response = self.post(path, **form)
        assert response.status_code == 303, response.text
        return self.page(response.location)

    def get(self, path: str) -> TestResponse:
        return self._open(path, "GET")

    def file(self, path: str) -> TestResponse:
        """A download, read to its end."""
        return self._open(path, "GET", buffered=True)

    def post(self, path: str, **form: str) -> TestResponse:
        return self._open(path, "POST", {"csrf_token": self.token, **form})

    def _inspected(self, response: TestResponse, path: str, status: int) -> Page:
        assert response.status_code == status, (
            f"{path}: {response.status} {response.location} {response.text[:300]}"
        )
        page = Page(response)
        inspect(page, path)
        if any(field.get("name") == "csrf_token" for field in page.all("input")):
            self.token = page.token
        return page

    def _open(
        self, path: str, method: str, form: dict[str, str] | None = None, *, buffered: bool = False
    ) -> TestResponse:
        """In a context of its own, as on a server."""
        db.session.commit()  # SQLite has one writer: the test must not be it
        response = contextvars.Context().run(
            self.client.open, path, method=method, data=form, buffered=buffered,
            environ_base={"REMOTE_ADDR": self.address},
        )  # fmt: skip
        db.session.expire_all()
        return response


def taking(encodings: str, visitor: Visitor) -> Visitor:
    """The same visitor, whose browser takes answers in these encodings."""
    visitor.client.environ_base["HTTP_ACCEPT_ENCODING"] = encodings
    return visitor


@pytest.fixture
def visit(app: Flask) -> Callable[[User | None], Visitor]:
    """`visit(user)` is a visitor signed in as this user, `visit(None)` one who is not."""

    def visitor(user: User | None) -> Visitor:
        someone = Visitor(app, f"2001:db8:1::{next(_addresses):x}")
        if user:
            someone.become(user)
        return someone

    return visitor


def inspect(page: Page, path: str) -> None:
    """Fail unless the page is one that a person, a screen reader and a strict browser can use."""
    problems = list(_problems(page))
    assert not problems, f"{path}: {problems}"


def text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _problems(page: Page) -> Iterator[str]:
    elements = [element for element in page.root.iter() if isinstance(element.tag, str)]
    if len(page.all("h1")) != 1:
        yield "not one h1"
    if not page.title or page.all("html")[0].get("lang") != "en":
        yield "no title or language"
    if FOOTER not in text(page.all("footer")[0]):
        yield "the footer does not say what this is"
    ids = [element.get("id") for element in elements if element.get("id")]
    yield from (f"id {name} twice" for name in set(ids) if ids.count(name) > 1)
    for element in elements:
        yield from _problems_of(element, set(ids))
    yield from _skipped_headings(elements)
    labelled = {label.get("for") for label in page.all("label")}
    for tag in ("input", "select", "textarea"):
        yield from (
            f"{tag} {field.get('name')} has no label"
            for field in page.all(tag)
            if field.get("type") != "hidden" and field.get("id") not in labelled
        )
    for form in page.all("form"):
        names = {field.get("name") for field in form.iter("input")}
        if form.get("method") == "get" and form.get("action"):
            continue  # a search
        if form.get("method") != "post" or not form.get("action") or "csrf_token" not in names:
            yield f"form {form.get('action')} is no protected POST"


def _problems_of(element: Element, ids: set[str | None]) -> Iterator[str]:
    tag = element.tag.rpartition("}")[2]
    if tag == "style" or (tag == "script" and (element.text or not element.get("src"))):
        yield f"{tag} within the page"
    for name, value in element.attrib.items():
        if name == "style" or name.startswith("on"):
            yield f"{tag} has {name}"
        if name in ("href", "src", "action") and not OURS.match(value):
            yield f"{tag} leads outside: {value}"
        if name in ("aria-labelledby", "for"):
            yield from (f"{tag} names a missing {target}" for target in value.split() if target not in ids)
    if tag == "img" and "alt" not in element.attrib:
        yield "img without alt"
    if tag == "th" and element.get("scope") not in ("col", "row"):
        yield "th without scope"
    if tag == "time":
        dt.datetime.fromisoformat(element.get("datetime", "none"))
    children = [child.tag.rpartition("}")[2] for child in element]
    if element.get("role") == "img" and children[:2] != ["title", "desc"]:
        yield "picture without title and desc"


def _skipped_headings(elements: list[Element]) -> Iterator[str]:
    levels = [int(element.tag[1]) for element in elements if re.fullmatch(r"h[1-6]", element.tag)]
    yield from (
        f"h{lower} after h{upper}" for upper, lower in itertools.pairwise(levels) if lower > upper + 1
    )


@pytest.fixture
def statements(app: Flask) -> Callable[[], AbstractContextManager[list[str]]]:
    """`with statements() as asked:` collects what is asked of the database meanwhile."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        asked: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            asked.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            yield asked
        finally:
            event.remove(db.engine, "before_cursor_execute", note)

    return collect
