"""Pages in a real browser, used by a driver: a script that leaves what came of it at their end."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

IN_THE_DARK = ("--blink-settings=preferredColorScheme=0", "--force-dark-mode")


def driven(page: Path, driver: str, target: Path, more: str = "") -> Path:
    """Write a page with what listens for errors before its script, and a driver after it.

    Args:
        page: the page.
        driver: the name of the driver, a file beside this one.
        target: the page to write.
        more: elements that the driver uses.
    """
    text = page.read_text(encoding="utf-8")
    heed = "<script>window.errors = []; onerror = text => errors.push(text)</script><style>"
    script = f"{more}<script>{Path(__file__).with_name(driver).read_text()}</script></body>"
    target.write_text(text.replace("<style>", heed, 1).replace("</body>", script), "utf-8")
    return target


def used(address: str, profile: Path, *options: str) -> dict:
    """Return what the driver of a page tells; the browser itself has nothing to say.

    Args:
        address: the page.
        profile: a folder for the browser.
        options: further options of the browser, such as the size of its window.
    """
    assert BROWSER is not None
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom"),
            *("--run-all-compositor-stages-before-draw", "--enable-logging=stderr"),
            *(*options, address),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:]
    assert "CONSOLE" not in done.stderr, done.stderr
    told: dict = json.loads(html.unescape(found[1]))
    return told
