"""Numbers of a text, parsed at once."""

import codecs
import warnings

import numpy as np
from numpy.typing import NDArray


def as_utf8(data: bytes) -> bytes:
    """Return a text without its byte-order mark, and in UTF-8 where that mark is UTF-16's.

    Raises:
        UnicodeDecodeError: it has the mark of UTF-16 and is none.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16").encode()
    return data.removeprefix(codecs.BOM_UTF8)


def parse_numbers(text: bytes, count: int) -> NDArray[np.float64] | None:
    """Return the numbers of a text between blanks: (count,); None where it is not so many numbers.

    Some five times as fast as turning the words into numbers one by one, but it does not say what
    is wrong: the caller then looks closer.
    """
    with warnings.catch_warnings():
        # What NumPy says where the text stops being numbers; the array then ends early.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            numbers = np.fromstring(text, dtype=np.float64, sep=" ")
        except ValueError:  # which it is to become
            return None
    return numbers if len(numbers) == count else None


def as_indices(numbers: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return whole numbers as such; None where one is none, or so large that its like are lost."""
    if not np.all(np.abs(numbers) < 2**53):  # nor is it for NaN
        return None
    indices = numbers.astype(np.int64)
    return indices if np.array_equal(indices, numbers) else None
