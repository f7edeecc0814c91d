"""Which of several processes this is, before anything heavy is imported."""

import os


def is_main_process() -> bool:
    """Whether this process speaks for all: the first that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"
