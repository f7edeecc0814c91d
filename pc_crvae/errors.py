"""The exceptions that stand for a mistake the user can mend."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake outside the code: a wrong key, a missing file, a damaged checkpoint.

    Its message is one sentence that says what is wrong, where, and what to do. The
    commands print it without a traceback and exit with status 2.

    Args:
        message: the sentence; what it quotes of file names and servers is made printable.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class PassingError(UserError):
    """What kept a file from being read may be over the next time, such as too little memory."""


class MissingPackageError(UserError):
    """A package is not installed that an extra of this one brings; the message names it."""


@contextmanager
def told(start: str, *kinds: type[Exception], remedy: str = "") -> Iterator[None]:
    """Tell errors of some kinds, in the block, as a mistake that a user can mend.

    Args:
        start: the start of the sentence, which names the file; the reason follows it.
        kinds: the kinds of errors; a `UserError` passes as it is.
        remedy: what to do, the end of the sentence.

    Raises:
        UserError: an error of one of these kinds came.
    """
    try:
        yield
    except UserError:  # which is a ValueError too
        raise
    except kinds as error:
        reason = getattr(error, "strerror", None) or reason_of(error)
        raise UserError(
            f"{start} ({reason}): {remedy}" if remedy else f"{start}: {reason}"
        ) from error


def printable(text: str) -> str:
    """Return a text in which what no terminal is to see is escaped, such as ESC and newlines.

    Names of files, and what a server answers, can hold what moves the cursor or ends a line.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def reason_of(error: BaseException) -> str:
    """Return what an error says, or else its kind, in one line of at most 200 characters."""
    return textwrap.shorten(str(error), 200, placeholder=" ...") or type(error).__name__
