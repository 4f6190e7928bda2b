"""`make pictures`: photographs the main pages of a fresh demo, light and dark, into docs/pages/."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pages"
SEED = 7  # the same clinic each time
WARD_PC = {"width": 1440, "height": 1000}
TELEPHONE = {"width": 390, "height": 844}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [str(Path(sys.executable).with_name("sc-stim")), "demo", "--seed", str(SEED)]
        demo = subprocess.Popen(
            [*command, "--port", str(port), "--data-dir", directory], stdout=subprocess.PIPE
        )
        try:
            if not any(line.startswith(b"READY") for line in demo.stdout or ()):
                sys.exit("the demo did not start")
            take(f"http://127.0.0.1:{port}", json.loads((Path(directory) / "logins.json").read_text()))
        finally:
            demo.terminate()
            demo.wait()


def take(url: str, logins: list[dict[str, str]]) -> None:
    people = {login["role"]: login for login in logins}
    patient = patient_with_two_devices(url, people["clinician"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            page = signed_in(browser, url, people["nurse"], scheme)
            photograph(page, "/worklist", f"worklist-{scheme}")
            page.get_by_role("link", name="Refill the pump of").first.click()
            page.get_by_label("Aspirated, mL").fill("3.1")
            shoot(page, f"refill-visit-{scheme}")
            photograph(page, "/calendar", f"calendar-{scheme}")
            page.context.close()
            page = signed_in(browser, url, people["clinician"], scheme)
            page.goto(f"/patients/{patient}")
            expect(page.locator("canvas").first).to_be_visible()
            page.wait_for_load_state("networkidle")
            page.get_by_role("heading", name="Course").evaluate("heading => heading.scrollIntoView()")
            shoot(page, f"patient-{scheme}")
            photograph(page, "/alerts/triage", f"triage-{scheme}")
            page.context.close()
            page = signed_in(browser, url, people["engineer"], scheme)
            photograph(page, "/devices", f"devices-{scheme}")
            page.context.close()
            page = signed_in(browser, url, people["nurse"], scheme, TELEPHONE)
            photograph(page, "/worklist", f"telephone-{scheme}")
            page.context.close()
        browser.close()


def patient_with_two_devices(url: str, login: dict[str, str]) -> str:
    """Somebody who lives with a stimulator and a pump."""
    token = ask(url, "/auth/token", {"email": login["email"], "password": login["password"]})["access_token"]
    kinds: dict[str, set[str]] = {}
    for device in ask(url, "/devices?limit=200", token=token)["items"]:
        if device["patient"]:
            kinds.setdefault(device["patient"]["id"], set()).add(device["kind"])
    return next(patient for patient, both in kinds.items() if len(both) > 1)


def ask(url: str, path: str, body: dict[str, str] | None = None, token: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(  # noqa: S310  (our own demo)
        f"{url}/api/v1{path}", json.dumps(body).encode() if body else None, headers
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def signed_in(
    browser: Browser, url: str, login: dict[str, str], scheme: Any, screen: dict[str, int] = WARD_PC
) -> Page:
    page = browser.new_context(viewport=screen, color_scheme=scheme, base_url=url).new_page()  # type: ignore[arg-type]
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Sign in")
    return page


def photograph(page: Page, path: str, name: str) -> None:
    page.goto(path)
    shoot(page, name)


def shoot(page: Page, name: str) -> None:
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
