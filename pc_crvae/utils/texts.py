"""Texts as programs write them, on whatever system, and those that lie beside the code."""

import codecs
import tomllib
from functools import cache
from pathlib import Path


def decoded(content: bytes) -> str:
    """Decode a text of UTF-8, with or without a byte-order mark, or of UTF-16 with one.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


@cache
def texts_beside(module: str, name: str) -> dict[str, dict[str, str]]:
    """Return the texts of a TOML file, each in one line, by table and name.

    Args:
        module: the ``__file__`` of the module that the file lies beside.
        name: the file's.
    """
    tables = tomllib.loads(Path(module).with_name(name).read_text(encoding="utf-8"))
    return {
        table: {key: " ".join(text.split()) for key, text in texts.items()}
        for table, texts in tables.items()
    }
