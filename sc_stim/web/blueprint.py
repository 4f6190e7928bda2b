"""The one blueprint all pages belong to. The modules beside it hang their views on it."""

from flask import Blueprint

pages = Blueprint("web", __name__, template_folder="templates")
