"""The sentences of a page in Markdown, and which of them are too long to be read once."""

import re

MOST_WORDS = 30


def long_sentences(markdown: str) -> list[str]:
    """The sentences of more words than a reader takes in at once."""
    return [sentence for sentence in sentences(markdown) if words(sentence) > MOST_WORDS]


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
    """How many words a sentence has; a number, a path and a name in code count as one."""
    return len(re.findall(r"[\w`'%./-]*\w[\w`'%./-]*", sentence))
