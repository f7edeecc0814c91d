"""What newcomers read is short, and what it tells them to type works."""

import re

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no documents")

MOST_WORDS = 30
MOST_LINES_OF_README = 120


def pages():
    tutorials = sorted((CHECKOUT / "docs" / "tutorials").glob("*.md"))
    guides = [
        page
        for page in sorted((CHECKOUT / "docs").glob("*.md"))
        if not page.name.startswith(("results", "performance"))  # where one looks things up
    ]
    return [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *guides, *tutorials]


def sentences(markdown: str) -> list[str]:
    """The sentences of the prose: no code, no tables, no headings, no addresses."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*] |\d+\. ))", text)
    prose = [
        " ".join(block.split())
        for block in blocks
        if not block.lstrip("\n").startswith(("    ", "|", "#", "!["))
    ]
    return [part for block in prose for part in re.split(r"(?<=[.!?])[*_)]*\s+", block) if part]


def words(sentence: str) -> int:
    return len(re.findall(r"[\w`'%./-]*\w[\w`'%./-]*", sentence))


def test_the_counter_of_words_finds_a_long_sentence_and_skips_code():
    long = "one " * 31 + "end."
    found = sentences(
        f"# A title\n\nShort one. {long}\n\n    {long}\n\n```sh\n{long}\n```\n- item\n"
    )
    assert [words(sentence) for sentence in found] == [2, 32, 1]


@pytest.mark.parametrize("page", pages() if CHECKOUT else [], ids=lambda page: page.stem)
def test_no_sentence_is_too_long_to_be_read_once(page):
    long = [each for each in sentences(page.read_text()) if words(each) > MOST_WORDS]
    assert long == []


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
