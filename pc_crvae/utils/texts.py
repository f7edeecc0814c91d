"""Texts as programs write them, on whatever system."""

import codecs


def decoded(content: bytes) -> str:
    """Decode a text of UTF-8, with or without a byte-order mark, or of UTF-16 with one.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")
