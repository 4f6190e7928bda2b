"""The label of an implant before the camera of a ward PC, in a browser that reads no codes by itself."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import CHROMIUM
from tests.e2e.label import film, printed
from tests.e2e.looking import look, sign_in, window
from tests.web.scene import Scene

UDI = "(01)00643169007222(17)291231(10)L77(21)NGP123456H"
READ = "010064316900722217291231" + "10L77<GS>21NGP123456H"
CAMERA, ALLOWED = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"

Bench = Callable[..., Page]


@pytest.fixture
def bench(chromium: Browser, executable: str, address: str, scene: Scene) -> Iterator[Bench]:
    """An engineer before the page for a new device, in a browser that is started with the given options."""
    with ExitStack() as end:

        def sit_down(*options: str) -> Page:
            browser = chromium.browser_type.launch(executable_path=executable, args=[*CHROMIUM, *options])
            end.callback(browser.close)
            page = end.enter_context(window(browser, address))
            sign_in(page, scene.engineer, home="Devices")
            page.get_by_role("link", name="Register a device").click()
            return page

        yield sit_down


@pytest.mark.parametrize("symbology", ["gs1datamatrix", "gs1qrcode", "gs1-128"])
def test_a_label_is_read_by_the_camera(
    bench: Bench, chromium: Browser, request: pytest.FixtureRequest, tmp_path: Path, symbology: str
) -> None:
    label = film(printed(chromium, symbology, UDI), tmp_path / "label.y4m")
    page = bench(CAMERA, ALLOWED, f"--use-file-for-fake-video-capture={label}")
    button = page.get_by_role("button", name="Scan with the camera")
    expect(button).to_be_visible()
    assert page.locator("script[src*=zxing]").count() == 0  # fetched only for who wants to scan
    button.click()
    expect(page.get_by_text("Read. Look at it, then go on.")).to_be_visible()
    expect(page.get_by_label("UDI", exact=True)).to_have_value(re.compile(f"^(<GS>|]C1)?{READ}$"))
    expect(page.locator("video")).to_be_hidden()
    look(page, request, "device-scanned")

    page.get_by_role("button", name="Read it").click()
    for read in ("00643169007222", "NGP123456H", "L77", "31 Dec 2029"):
        expect(page.locator("dl")).to_contain_text(read)


@pytest.mark.parametrize(
    ("options", "said"),
    [((CAMERA,), "The camera is not allowed."), ((ALLOWED,), "There is no camera to use.")],
    ids=["not-allowed", "no-camera"],
)
def test_without_a_camera_the_label_is_typed(bench: Bench, options: tuple[str, ...], said: str) -> None:
    page = bench(*options)

    page.get_by_role("button", name="Scan with the camera").click()

    expect(page.locator("[data-scan] [role=status]")).to_contain_text(said)
    expect(page.locator("[data-scan] [role=status]")).to_contain_text("type the UDI", ignore_case=True)
    expect(page.locator("video")).to_be_hidden()
