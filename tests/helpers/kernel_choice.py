"""Which kernels serve, chosen as a user chooses: by the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def forced(mode: str) -> Iterator[None]:
    """Use ``fast`` or ``reference`` kernels, or choose by device (``auto``)."""
    with patch.dict(os.environ, PC_CRVAE_KERNELS=mode):
        yield
