"""A language made for tests: every text in white brackets and longer by a third, compiled from the texts' template.

What a page shows outside the brackets was never given to the translators.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask

from sc_stim import i18n, web

LANGUAGE = "eo"  # any that Babel knows and that nobody has translated the pages to
TEMPLATE = Path(web.__file__).parent / "translations" / "messages.pot"
OPENS, CLOSES = "⟦", "⟧"
SHOWN_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "data-label", "label")
SILENT = {"script", "style", "time", "kbd", "code"}  # not words, or written as the clinic's country writes


def speak_brackets(app: Flask, folder: Path) -> None:
    """Give the app this one more language."""
    with TEMPLATE.open("rb") as file:
        catalog = read_po(file, locale=LANGUAGE)
    target = folder / LANGUAGE / "LC_MESSAGES"
    target.mkdir(parents=True)
    with (target / "messages.mo").open("wb") as file:
        write_mo(file, _bracketed(catalog))
    i18n.add_language(app, LANGUAGE, str(folder))


def _bracketed(catalog: Catalog) -> Catalog:
    for message in catalog:
        if isinstance(message.id, tuple):
            message.string = tuple(longer(one) for one in message.id)
        elif message.id:
            message.string = longer(message.id)
    return catalog


def longer(text: str) -> str:
    """`Sign out` -> `⟦Sign out oro⟧`"""
    missing = max(2, len(text) * 3 // 10)
    words = ("orodela " * (missing // 8 + 1))[:missing].strip()
    return f"{OPENS}{text} {words}{CLOSES}"


def unbracketed(root: Element) -> Iterator[str]:
    """The pieces of text and the attributes of a page that stand in no brackets, in the page's order."""
    depth = 0
    for text in _texts(root):
        outside = ""
        for character in text:
            depth += (character == OPENS) - (character == CLOSES)
            if depth == 0 and character != CLOSES:
                outside += character
        if re.search(r"[^\W\d_]{2}", outside):
            yield outside.strip()
    assert depth == 0, "brackets that do not match: a text within a tag?"
    for element in root.iter():
        for name in SHOWN_ATTRIBUTES:
            outside = re.sub(r"⟦[^⟦⟧]*⟧", "", re.sub(r"⟦[^⟦⟧]*⟧", "", element.get(name, "")))
            if re.search(r"[^\W\d_]{2}", outside):
                yield outside.strip()


def _texts(element: Element) -> Iterator[str]:
    if element.tag not in SILENT:
        yield element.text or ""
        for child in element:
            yield from _texts(child)
            yield child.tail or ""
