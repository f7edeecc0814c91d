"""Templates: pages, in which every value is escaped, and reports in Markdown."""

import base64
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup


def template_beside(module: str, name: str, *shared: Path) -> Template:
    """Return a template that lies beside a module.

    Args:
        module: the ``__file__`` of the module.
        name: the name of the template's file; values are escaped where it ends in ``.html``.
        shared: folders of more templates, styles and scripts that it may use.
    """
    return _environment(Path(module).parent, *shared).get_template(name)


def filled(module: str, name: str, /, **values: object) -> str:
    """Return the text of a template that lies beside a module, without blank lines at its end.

    Args:
        module: the ``__file__`` of the module.
        name: the name of the template's file.
        values: what fills it.
    """
    return template_beside(module, name).render(values).rstrip()


@cache
def _environment(*folders: Path) -> Environment:
    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    made.filters["data_address"] = data_address

    def asset(name: str) -> Markup:
        """The text of a style sheet or a script, as it is."""
        path = next(folder / name for folder in folders if (folder / name).is_file())
        return Markup(path.read_text(encoding="utf-8"))

    made.globals["asset"] = asset
    return made


def data_address(data: bytes, kind: str) -> str:
    """Return the address of a picture that a page carries: a file of type ``image/kind``."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
