"""The generated pages of the site hold what users import and what a configuration may say."""

import importlib.util
import re

import pytest
import yaml

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = [
    pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no site"),
    pytest.mark.skipif(
        importlib.util.find_spec("mkdocs") is None,
        reason="mkdocs, which builds the site, is not installed: pip install pc-crvae[docs]",
    ),
]


@pytest.fixture(scope="module")
def hooks():
    path = CHECKOUT / "docs" / "hooks" / "site_pages.py"
    spec = importlib.util.spec_from_file_location("site_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_whatever_examples_and_tutorials_import_is_in_the_reference(hooks):
    public = hooks.public_modules()
    scripts = [*(CHECKOUT / "examples").glob("*.py"), *(CHECKOUT / "docs").glob("tutorials/*.py")]
    imported = set()
    for script in scripts:
        for module, names in re.findall(
            r"^(?:from (pc_crvae[\w.]*) )?import ([\w, ]+)$", script.read_text(), re.MULTILINE
        ):
            imported |= {(module, name.strip()) for name in names.split(",") if module}
    assert len(imported) > 15
    for module, name in imported:
        assert module in public, f"{module} is not in the reference"
        assert not public[module] or name in public[module], f"{module} does not list {name}"


def test_the_page_of_configurations_has_every_key_of_the_schema(hooks):
    page = hooks._configs()
    for key in ("`seed`", "`items_per_epoch`", "`frames`", "`warmup_epochs`", "`free_bits`"):
        assert f"| {key} |" in page
    assert "| `max_degrees` | number, at least 0, at most 180 | `180.0` |" in page


def test_the_page_of_cards_has_every_data_set(hooks):
    page = hooks._cards()
    for path in (CHECKOUT / "datasets").glob("*.yaml"):
        assert f"| `{path.stem}` |" in page
        assert " ".join(yaml.safe_load(path.read_text())["licence"].split()) in page


def test_the_front_page_is_the_readme_with_links_that_lead_on_the_site(hooks):
    page = hooks._of_the_top("README.md")
    assert "](docs/" not in page
    assert "](contributing.md)" in page
