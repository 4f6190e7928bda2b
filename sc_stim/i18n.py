"""Which language a page speaks. Texts are marked with `_` where they are written; English is what they are written in.

Tables of words that live as long as the process mark theirs with `_lazy`: it looks the text up when it is shown.
A further language is a folder `sc_stim/web/translations/<locale>/LC_MESSAGES` with a compiled `messages.mo`. Its texts
stand in the pages as they are: with typographic quotes, and with markup only where the English has it. What a text
is filled with is escaped.
"""

from typing import Any, Final

from flask import Flask, current_app, g, has_app_context, has_request_context, request
from flask_babel import Babel, get_locale, get_translations
from flask_babel.speaklater import LazyString

__all__ = ["_", "_lazy", "add_language", "install", "language", "ngettext"]

WRITTEN_IN: Final = "en"

babel = Babel()


def install(app: Flask) -> None:
    """Texts of the pages in the languages that are there; which, is read once, at the start."""
    babel.init_app(
        app,
        default_locale=WRITTEN_IN,
        default_translation_directories="web/translations",
        locale_selector=_wanted,
    )
    app.jinja_env.install_gettext_callables(_text, _text_of_many, newstyle=True)  # type: ignore[attr-defined]
    with app.app_context():
        app.config["LANGUAGES"] = sorted(str(locale) for locale in babel.list_translations())


def add_language(app: Flask, locale: str, folder: str) -> None:
    """One more language, from `folder/<locale>/LC_MESSAGES/messages.mo`."""
    app.extensions["babel"].translation_directories.append(folder)
    app.config["LANGUAGES"].append(locale)


def language() -> str:
    """Of this page, as `<html lang>` says it."""
    return str(get_locale() or WRITTEN_IN).replace("_", "-")


def _(text: str, **values: Any) -> str:
    """The text in the reader's language, `%(name)s` filled from `values`; a bare % is doubled where there are any."""
    return _text(text) % values if values else _text(text)


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """The text for so many things, `%(num)s` in it."""
    return _text_of_many(one, many, num) % {"num": num, **values}


def _lazy(text: str) -> LazyString:
    return LazyString(_, text)


def _text(text: str) -> str:
    found: str = _texts().ugettext(text) if has_app_context() else text
    return found


def _text_of_many(one: str, many: str, num: int) -> str:
    if not has_app_context():
        return one if num == 1 else many
    found: str = _texts().ungettext(one, many, num)
    return found


def _texts() -> Any:
    """Looked up once a request: a page has thousands of texts."""
    found = g.get("texts")
    if found is None:
        found = g.texts = get_translations()
    return found


def _wanted() -> str:
    """What the reader's browser asks for, as far as it is there."""
    if not has_request_context():
        return WRITTEN_IN
    return request.accept_languages.best_match(current_app.config["LANGUAGES"], default=WRITTEN_IN)
