"""The fast kernels of the CPU serve every test of this room."""

from collections.abc import Iterator

import pytest

from helpers.kernel_choice import forced
from pc_crvae.geometry.kernels import cpu


@pytest.fixture(autouse=True)
def fast_kernels() -> Iterator[None]:
    with forced("fast"):
        yield


@pytest.fixture(params=["scan", "blocks"])
def strategy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to search for the nearest, whatever the size."""
    monkeypatch.setattr(cpu, "_SORTING_PAYS", 0 if request.param == "blocks" else float("inf"))
    return request.param
