"""Handing a message to its transport. The only file that imports apprise.

The operator configures one Apprise URL per channel; `{address}` in it stands for the contact's address. A webhook is
the one address that people of a clinic enter as a URL: it must be https, leads to a public host and is not followed
elsewhere. Apprise's own log names addresses, so it is off; what we keep of a failure is one word.
"""

import ipaddress
import logging
import re
import socket
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import apprise

from sc_stim.workflows.messaging import EMAIL, PUSH, SMS, WEBHOOK

EMAIL_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
PHONE_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
PUSH_ADDRESS: Final = re.compile(r"[A-Za-z0-9._~-]{1,200}")
PATIENCE_S: Final = 10
PLACE: Final = "{address}"
SAMPLES: Final = ("ward@example.org", "+49305550100", "ward")

logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


class NotDelivered(Exception):
    """The transport did not take it. `problem` is a word for the record; `final` where trying again cannot help."""

    def __init__(self, problem: str, *, final: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.final = final


class Send(Protocol):
    """Hands one message over. Raises NotDelivered."""

    def __call__(self, channel: str, address: str, title: str, body: str) -> None: ...


Resolve = Callable[[str], list[str]]


def check_address(channel: str, address: str) -> None:
    """Raises ValueError with the fix where no message could be sent there."""
    if channel == WEBHOOK:
        _webhook_parts(address)
        return
    pattern, form = {
        EMAIL: (EMAIL_ADDRESS, "an e-mail address, as ward@example.org"),
        SMS: (PHONE_NUMBER, "a phone number with its country, as +49305550100"),
        PUSH: (PUSH_ADDRESS, "the name of a topic or device: letters, digits and . _ ~ -"),
    }[channel]
    if not pattern.fullmatch(address):
        raise ValueError(f"must be {form}")


def check_url(url: str) -> None:
    """Raises ValueError where Apprise knows no service for this URL or template."""
    if not any(_service(url.replace(PLACE, quote(sample, safe=""))) for sample in SAMPLES):
        raise ValueError("is not an Apprise URL: see the services in Apprise's documentation")


class Transport:
    """Sends through Apprise.

    urls: channel -> Apprise URL, None where it is not configured
    """

    def __init__(self, urls: Mapping[str, str | None], resolve: Resolve | None = None) -> None:
        self._urls = urls
        self._resolve = resolve or _addresses_of

    @property
    def configured(self) -> dict[str, bool]:
        """By which channels messages can be sent. A webhook needs nothing configured."""
        return {channel: url is not None for channel, url in self._urls.items()} | {WEBHOOK: True}

    def __call__(self, channel: str, address: str, title: str, body: str) -> None:
        url = self._url(channel, address)
        service = _service(url)
        if not service:
            raise NotDelivered("address_refused", final=True)
        if not service.notify(body=body, title=title):
            raise NotDelivered("transport_refused")

    def _url(self, channel: str, address: str) -> str:
        if channel == WEBHOOK:
            return self._webhook_url(address)
        template = self._urls.get(channel)
        if template is None:
            raise NotDelivered("not_configured", final=True)
        return template.replace(PLACE, quote(address, safe=""))

    def _webhook_url(self, address: str) -> str:
        try:
            host, place, query = _webhook_parts(address)
        except ValueError as error:
            raise NotDelivered("address_refused", final=True) from error
        try:
            found = self._resolve(host)
        except OSError as error:
            raise NotDelivered("host_unknown") from error
        if not found or not all(ipaddress.ip_address(one).is_global for one in found):
            raise NotDelivered("host_not_public", final=True)
        # A leading "-" makes it a parameter of the webhook; without one it would be an option of Apprise.
        options = [("-" + name, value) for name, value in query] + [
            ("redirect", "no"),
            ("cto", str(PATIENCE_S)),
        ]
        return f"jsons://{place}?{urlencode([*options, ('rto', str(PATIENCE_S))])}"


def _webhook_parts(address: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Host, host with port and path, query. Raises ValueError with the fix."""
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must begin with https:// and a host")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("must hold no user name, password or fragment")
    if not re.fullmatch(r"([A-Za-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", parts.netloc):
        raise ValueError("must name a host in ASCII, with a port number if any")
    literal = parts.hostname.strip("[]")
    if _is_address(literal) and not ipaddress.ip_address(literal).is_global:
        raise ValueError("must lead to a host on the public internet")
    return parts.hostname, parts.netloc + (parts.path or "/"), parse_qsl(parts.query, keep_blank_values=True)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses_of(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]


def _service(url: str) -> apprise.Apprise:
    """Falsy where the URL is none of Apprise's. It answers False to whatever goes wrong in the service behind it."""
    service = apprise.Apprise()
    service.add(url)
    return service
