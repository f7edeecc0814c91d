"""The processes of one training: which one this is, and how they part."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_main_process() -> bool:
    """Whether this process speaks for all: the first that torchrun started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def parting() -> Iterator[None]:
    """Take down the group of processes that the block made, however the block is left.

    A group that is still there when Python ends can abort the process: a thread of gloo may
    then let go of a tensor, for which it needs an interpreter (pytorch/pytorch#179291).
    """
    import torch.distributed

    # Imported later, by DDP, its functions would hold the group for ever as a default argument.
    import torch.distributed.nn

    try:
        yield
    finally:
        if torch.distributed.is_initialized():
            gc.collect()  # of what refers to the group in cycles
            torch.distributed.destroy_process_group()
