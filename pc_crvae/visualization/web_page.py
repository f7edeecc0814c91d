"""What every web page is made of: one file, which its security policy lets load nothing.

A page is a template beside its module that extends ``web_page.html``, beside this file. So is
``theme.css``, which has the colours, by day and in the dark.
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pc_crvae.utils.files import write_text
from pc_crvae.utils.templates import template_beside


def write_page(path: Path | str, module: str, **values: object) -> None:
    """Write a page.

    Args:
        path: the page to write.
        module: the ``__file__`` of the module that the page's template has the name of.
        values: what the template is filled in with, ``title`` among it; texts are escaped.

    Raises:
        UserError: the page could not be written.
    """
    write_text(Path(path), element(module, f"{Path(module).stem}.html", **values))


def element(module: str, name: str, **values: object) -> Markup:
    """Return an element of a page: a template beside a module, filled in, with texts escaped."""
    template = template_beside(module, name, Path(__file__).parent)
    return Markup(template.render(values))


def encoded(array: NDArray[Any]) -> str:
    """Return the numbers of an array as base64, for a page's script to read."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
