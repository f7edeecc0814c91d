"""The exceptions that stand for a mistake the user can mend."""

import textwrap


class UserError(ValueError):
    """A mistake outside the code: a wrong key, a missing file, a damaged checkpoint.

    Its message is one sentence that says what is wrong, where, and what to do. The
    commands print it without a traceback and exit with status 2.
    """


class MissingPackageError(UserError):
    """A package is not installed that an extra of this one brings; the message names it."""


def reason_of(error: BaseException) -> str:
    """Return what an error says, or else its kind, in one line of at most 200 characters."""
    return textwrap.shorten(str(error), 200, placeholder=" ...") or type(error).__name__
