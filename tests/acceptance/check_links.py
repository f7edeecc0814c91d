"""Ask every address that the pages of a built site link to, and name those that do not answer.

python tests/acceptance/check_links.py SITE
"""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

SECONDS = 20
# Servers that refuse whatever is no browser, or ask to be slower, are there.
REFUSALS = (401, 403, 405, 429)


def addresses(site: Path) -> dict[str, str]:
    """Every address that is linked to, and the first page that does so."""
    found: dict[str, str] = {}
    for page in sorted(site.rglob("*.html")):
        for address in re.findall(r'<a [^>]*href="(https?://[^"#]+)', page.read_text("utf-8")):
            found.setdefault(address.replace("&amp;", "&"), str(page.relative_to(site)))
    return found


def fault(address: str) -> str | None:
    """Why an address does not answer; None where it does."""
    try:
        with requests.get(address, timeout=SECONDS, stream=True) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        return type(error).__name__
    return None if status < 400 or status in REFUSALS else f"status {status}"


def main(site: Path) -> int:
    """Print what is broken, and return how many addresses are."""
    linked = addresses(site)
    with ThreadPoolExecutor(8) as pool:
        faults = list(pool.map(fault, linked))
    broken = [(address, why) for address, why in zip(linked, faults, strict=True) if why]
    for address, why in broken:
        print(f"{address}: {why}; linked to in {linked[address]}")
    print(f"{len(linked)} addresses, {len(broken)} broken")
    return len(broken)


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1])), 1))
