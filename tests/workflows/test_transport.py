"""What reaches a transport, and what is refused before it can."""

import pytest

from sc_stim.workflows.transport import NotDelivered, Transport, check_address, check_url

# One of Apprise's many services imports it as they are all loaded.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "ward@example.org"),
        ("sms", "+49305550100"),
        ("push", "ward-4"),
        ("webhook", "https://hooks.example.org/T1/x?token=a"),
    ],
)
def test_addresses_of_the_right_form_are_taken(channel: str, address: str) -> None:
    assert check_address(channel, address) is None


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "ward@example.org,other@example.org"),
        ("email", "ward"),
        ("sms", "030 5550100"),
        ("push", "a/b"),
        ("webhook", "http://hooks.example.org/"),
        ("webhook", "https://user:word@hooks.example.org/"),
        ("webhook", "https://127.0.0.1/"),
        ("webhook", "https://[::1]/"),
        ("webhook", "https://169.254.169.254/latest/meta-data"),
        ("webhook", "https://hooks.example.org:notaport/"),
        ("webhook", "file:///etc/passwd"),
    ],
)
def test_addresses_of_another_form_are_refused(channel: str, address: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check_address(channel, address)


@pytest.mark.parametrize(
    "found", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1"]
)
def test_a_webhook_whose_name_leads_inside_is_not_called(found: str) -> None:
    send = Transport({}, resolve=lambda host: ["93.184.216.34", found])
    with pytest.raises(NotDelivered) as refused:
        send("webhook", "https://hooks.example.org/x", "t", "b")
    assert (refused.value.problem, refused.value.final) == ("host_not_public", True)


def test_a_webhook_cannot_turn_on_redirects_or_other_options() -> None:
    send = Transport({}, resolve=lambda host: ["93.184.216.34"])
    url = send._url("webhook", "https://hooks.example.org/x?redirect=yes&verify=no")
    assert url.startswith("jsons://hooks.example.org/x?-redirect=yes&-verify=no&redirect=no&")


def test_a_channel_without_transport_says_so_and_is_not_tried_again() -> None:
    with pytest.raises(NotDelivered) as refused:
        Transport({"email": None})("email", "ward@example.org", "t", "b")
    assert (refused.value.problem, refused.value.final) == ("not_configured", True)


def test_an_address_is_quoted_into_its_template() -> None:
    send = Transport({"email": "mailtos://u:p@mail.example.org?from=sc@example.org&to={address}"})
    assert send._url("email", "a+b@example.org").endswith("&to=a%2Bb%40example.org")


def test_only_urls_of_apprise_are_taken() -> None:
    assert check_url("mailtos://u:p@mail.example.org?to={address}") is None
    with pytest.raises(ValueError, match="not an Apprise URL"):
        check_url("carrier-pigeon://{address}")
