"""The pages of the site that are made from the code and from files at the top of the repository.

MkDocs calls what is named ``on_...`` here. Nothing of these pages is kept: the front page is
README.md, the reference is what the packages list in ``__all__`` and the modules below, and what a
configuration or a card may hold comes from the schemas that check them.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File, Files

TOP = Path(__file__).resolve().parents[2]

# Modules that users import from, beside every package that lists its names in __all__.
MODULES = (
    "pc_crvae.data.facing",
    "pc_crvae.data.readers.shape_files",
    "pc_crvae.data.torch_geometric",
    "pc_crvae.embedding.index",
    "pc_crvae.embedding.parts",
    "pc_crvae.embedding.shapes",
    "pc_crvae.errors",
    "pc_crvae.evaluation.probe.cross_validation",
    "pc_crvae.evaluation.probe.protocol",
    "pc_crvae.evaluation.probe.report",
    "pc_crvae.models.exports",
    "pc_crvae.models.points.encoder",
    "pc_crvae.models.points.vae",
    "pc_crvae.models.pretrained",
    "pc_crvae.models.vae",
    "pc_crvae.objectives.divergences",
    "pc_crvae.randomness.draws",
    "pc_crvae.runs.saved",
)

# Pages of the repository's top, which are read on GitHub too: their names on the site.
TOP_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}

# Where a link of a page to what is no page leads on the site.
REPLACED_LINKS = {
    "../configs/schema.json": "reference/configs.md",
    "docs/tutorials": "tutorials/your-folder.md",
    "examples": "tutorials/your-loop.md",
}

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):(?=`|<code>)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    pages = {name: _of_the_top(source) for source, name in TOP_PAGES.items()}
    pages |= _reference()
    pages["reference/configs.md"] = _configs()
    pages["reference/cards.md"] = _cards()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_config(config: Any) -> Any:
    """Put the packages of the reference into the navigation."""
    (section,) = (part["Reference"] for part in config.nav if "Reference" in part)
    section[1:1] = [f"reference/{module}.md" for module in public_modules()]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to files that are no pages to what says the same on the site."""
    for link, page in REPLACED_LINKS.items():
        markdown = markdown.replace(f"]({link})", f"]({page})")
    return markdown


def on_page_content(html: str, **_: Any) -> str:
    """Drop the roles that docstrings have for other tools."""
    return _ROLE.sub("", html)


def public_modules() -> dict[str, list[str]]:
    """The public names of every module that users import from, the front door first."""
    found = {}
    for path in sorted((TOP / "pc_crvae").rglob("__init__.py")):
        module = ".".join(path.parent.relative_to(TOP).parts)
        names = _listed(path)
        if names and "cpu" not in module:
            found[module] = names
    for module in MODULES:
        found[module] = []
    return dict(sorted(found.items()))


def _listed(path: Path) -> list[str]:
    """What a module lists in ``__all__``; nothing where it lists nothing."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [name for name in ast.literal_eval(node.value) if name != "__version__"]
    return []


def _of_the_top(source: str) -> str:
    text = (TOP / source).read_text(encoding="utf-8")
    for name, page in (TOP_PAGES | REPLACED_LINKS).items():
        text = text.replace(f"]({name})", f"]({page})")
    return re.sub(r"\]\(docs/", "](", text)


def _reference() -> dict[str, str]:
    modules = public_modules()
    pages, lines = {}, ["# Reference", "", "What users import, room by room.", ""]
    for module, names in modules.items():
        options = [
            "    options:",
            "      show_root_heading: false",
            "      show_root_toc_entry: false",
        ]
        options.append(f"      members: {json.dumps(names)}" if names else '      filters: ["!^_"]')
        pages[f"reference/{module}.md"] = "\n".join(
            [f"# {module}", "", f"::: {module}", *options, ""]
        )
        summary = _summary(module)
        lines.append(f"- [`{module}`]({module}.md): {summary}")
    pages["reference/index.md"] = "\n".join([*lines, ""])
    return pages


def _summary(module: str) -> str:
    path = TOP.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]


def _configs() -> str:
    schema = json.loads((TOP / "configs" / "schema.json").read_text(encoding="utf-8"))
    lines = [
        "# Configurations",
        "",
        "What a configuration may hold, by the schema that checks it. [Training](../train.md) says "
        "how one is used. A value that has no default has to be given.",
        "",
        "## The whole",
        "",
        *_fields(schema),
    ]
    for name, section in sorted(schema["$defs"].items()):
        lines += [f"## {_title(name)}", "", section.get("description", ""), "", *_fields(section)]
    return "\n".join(lines)


def _cards() -> str:
    from pc_crvae.data.cards import Card

    lines = [
        "# Data sets and their cards",
        "",
        "The data sets that have a card. [Training](../train.md#data-sets) has the commands.",
        "",
        "| name | what | holds | licence |",
        "|---|---|---|---|",
    ]
    for path in sorted((TOP / "datasets").glob("*.yaml")):
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
        title = f"[{card['title']}]({card['homepage']})" if card["homepage"] else card["title"]
        lines.append(f"| `{path.stem}` | {title} | {card['modality']} | {_cell(card['licence'])} |")
    schema = Card.model_json_schema(ref_template="#/$defs/{model}")
    lines += ["", "## What a card holds", "", *_fields(schema)]
    for name, part in sorted(schema["$defs"].items()):
        lines += [f"## {_title(name)}", "", part.get("description", ""), "", *_fields(part)]
    return "\n".join(lines)


def _fields(section: dict[str, Any]) -> list[str]:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in section.get("properties", {}).items():
        default = _value(field["default"]) if "default" in field else ""
        lines.append(
            f"| `{key}` | {_kind(field)} | {default} | {_cell(field.get('description', ''))} |"
        )
    return [*lines, ""]


def _value(value: Any) -> str:
    if isinstance(value, dict):  # its own section has the defaults
        return f"`name: {value['name']}`" if "name" in value else "as its section"
    return f"`{json.dumps(value)}`"


def _kind(field: dict[str, Any]) -> str:
    """What a value may be, in words, with links to the sections."""
    if "$ref" in field:
        title = _title(field["$ref"].rpartition("/")[2])
        return f"[{title}](#{title.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(dict.fromkeys(_kind(one) for one in field[several]))
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    words = {"integer": "whole number", "null": "null", "boolean": "true or false"}
    kind = words.get(field.get("type", ""), field.get("type", "anything"))
    bounds = [
        f"{sign} {field[key]:g}"
        for key, sign in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if key in field and field[key] < 2**31 - 1
    ]
    return ", ".join([kind, *bounds])


def _title(name: str) -> str:
    return name.removesuffix("Config")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
