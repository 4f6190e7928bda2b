"""Which language a page speaks. Texts are marked with `_` where they are written; English is what they are written in.

Tables of words that live as long as the process mark theirs with `_lazy`: it looks the text up when it is shown.
A further language is a folder `sc_stim/web/translations/<locale>/LC_MESSAGES` with a compiled `messages.mo`.
"""

from typing import Final

from flask import Flask, current_app, has_request_context, request
from flask_babel import Babel, get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _lazy

__all__ = ["_", "_lazy", "add_language", "install", "language", "ngettext"]

WRITTEN_IN: Final = "en"

babel = Babel()


def install(app: Flask) -> None:
    """Texts of the pages in the languages that are there; read once, at the start."""
    babel.init_app(
        app,
        default_locale=WRITTEN_IN,
        default_translation_directories="web/translations",
        locale_selector=_wanted,
    )
    with app.app_context():
        app.config["LANGUAGES"] = sorted(str(locale) for locale in babel.list_translations())


def add_language(app: Flask, locale: str, folder: str) -> None:
    """One more language, from `folder/<locale>/LC_MESSAGES/messages.mo`."""
    app.extensions["babel"].translation_directories.append(folder)
    app.config["LANGUAGES"].append(locale)


def language() -> str:
    """Of this page, as `<html lang>` says it."""
    return str(get_locale() or WRITTEN_IN).replace("_", "-")


def _wanted() -> str:
    """What the reader's browser asks for, as far as it is there."""
    if not has_request_context():
        return WRITTEN_IN
    return request.accept_languages.best_match(current_app.config["LANGUAGES"], default=WRITTEN_IN)
