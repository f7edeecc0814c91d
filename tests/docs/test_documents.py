"""What newcomers read is short, and what it tells them to type works."""

import re
from pathlib import Path

import pytest

from helpers.prose import long_sentences, sentences, words
from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no documents")

MOST_LINES_OF_README = 120


def pages():
    tutorials = sorted((CHECKOUT / "docs" / "tutorials").glob("*.md"))
    guides = [
        page
        for page in sorted((CHECKOUT / "docs").glob("*.md"))
        if not page.name.startswith(("results", "performance"))  # where one looks things up
    ]
    return [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *guides, *tutorials]


def prose() -> list[Path]:
    """Every page that people read, with the cards of the models that come with the package."""
    looked_up = [page for page in sorted((CHECKOUT / "docs").glob("*.md")) if page not in pages()]
    cards = sorted((CHECKOUT / "pc_crvae" / "shipped").glob("*/card.md"))
    return [*pages(), *looked_up, *cards]


def test_the_counter_of_words_finds_a_long_sentence_and_skips_code():
    long = "one " * 31 + "end."
    found = sentences(
        f"# A title\n\nShort one. {long}\n\n    {long}\n\n```sh\n{long}\n```\n- item\n"
    )
    assert [words(sentence) for sentence in found] == [2, 32, 1]


@pytest.mark.parametrize(
    "page", prose() if CHECKOUT else [], ids=lambda page: str(page.relative_to(CHECKOUT))
)
def test_no_sentence_is_too_long_to_be_read_once(page):
    assert long_sentences(page.read_text()) == []


@pytest.mark.parametrize("page", pages() if CHECKOUT else [], ids=lambda page: page.stem)
def test_a_page_includes_the_files_that_it_shows(page):
    for line in re.findall(r"^--8.*$", page.read_text(), flags=re.MULTILINE):
        shown = re.fullmatch(r'--8<-- "(.+)"', line)
        assert shown is not None, f"{line} would stand on the page as it is"
        assert (CHECKOUT / shown[1]).is_file()


def test_the_readme_is_read_in_two_minutes():
    assert len((CHECKOUT / "README.md").read_text().splitlines()) <= MOST_LINES_OF_README


def test_every_script_and_config_of_the_tutorials_is_shown_or_run_on_a_page():
    text = "".join(page.read_text() for page in pages())
    folder = CHECKOUT / "docs" / "tutorials"
    made = [path.name for path in (*folder.glob("*.py"), *folder.glob("*.yaml"))]
    made += [f"examples/{path.name}" for path in (CHECKOUT / "examples").glob("*.py")]
    pages_of_others = {"examples/embed_with_ray.py"}  # shown where many machines are told of
    assert {name for name in made if name not in text} <= pages_of_others
