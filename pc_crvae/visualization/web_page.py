"""What every web page is made of: one file, which its security policy lets load nothing.

Colours, by day and in the dark, are those of ``theme.css`` beside this file.
"""

import base64
import html
import json
from pathlib import Path
from string import Template
from typing import Literal

from pc_crvae.utils.files import atomic_path


def write_page(path: Path | str, title: str, *, style: str, body: str, allowed: str) -> None:
    """Write a page.

    Args:
        path: the page to write.
        title: the title of the page, as text.
        style: the style sheet of the page, after that of the theme.
        body: the content, as HTML in which every text is escaped.
        allowed: what its security policy lets it use; nothing else is.

    Raises:
        UserError: the page could not be written.
    """
    theme = Path(__file__).with_name("theme.css").read_text(encoding="utf-8")
    page = Template(read_asset(__file__, "html")).substitute(
        title=html.escape(title), style=theme + style, body=body, allowed=allowed
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(page.encode("utf-8"))


def read_asset(module: str, kind: Literal["html", "css", "js"]) -> str:
    """Return the text of the file of a kind that lies beside a module, under the same name."""
    return Path(module).with_suffix(f".{kind}").read_text(encoding="utf-8")


def read_script(name: str) -> str:
    """Return a script that pages share, by the name of its file beside this one."""
    return Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8")


def data_address(data: bytes, kind: str) -> str:
    """Return the address of a picture that the page carries: a file of type ``image/kind``."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def json_element(name: str, content: object) -> str:
    """Return an element that holds JSON, for the page's script to find by its ``name``."""
    # "<" never appears as itself, so no text in the data can end the script element.
    stored = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{stored}</script>'
