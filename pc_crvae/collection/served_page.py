"""A page that is on disk, as a server gives it: it may ask that server, and shows where to drop."""

import json
import re
from pathlib import Path
from typing import Any

from pc_crvae.collection.page import ALLOWED
from pc_crvae.embedding.index import Embeddings
from pc_crvae.errors import UserError, printable

_CONTENT = re.compile(r'<script type="application/json" id="content">(.*?)</script>', re.DOTALL)
_POLICY, _BODY, _DROP = f'{ALLOWED}">', "<body>", '<section id="drop" hidden'


def served_page(page: Path, embeddings: Embeddings, *, most_sent: int) -> str:
    """Return the text of a page for a server to give.

    Args:
        page: the page, as :func:`pc_crvae.collection.page.collection_page` wrote it.
        embeddings: the vectors of its shapes, in its order.
        most_sent: the bytes that a dropped file may have.

    Raises:
        UserError: the page is missing, of another version, or shows other shapes.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{page} cannot be read: explore the shapes anew") from error
    if content_of(text).get("ids") != [printable(name) for name in embeddings.ids]:
        raise UserError(f"{page} shows other shapes than the embeddings: explore them anew")
    if any(part not in text for part in (_POLICY, _BODY, _DROP)):
        raise UserError(f"{page} was made by another version: explore the shapes anew")
    asking = f"{ALLOWED}; connect-src 'self'\">"
    text = text.replace(_POLICY, asking, 1)
    return text.replace(_BODY, f'<body data-most-sent="{most_sent}">', 1)


def content_of(text: str) -> dict[str, Any]:
    """Return what a page carries, by its text; nothing where it is damaged, or no such page."""
    found = _CONTENT.search(text)
    if found is None or not text.rstrip().endswith("</html>"):
        return {}
    try:
        content = json.loads(found[1])
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
