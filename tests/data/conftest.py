from pathlib import Path

import pytest

from helpers.tiny_hdf5 import write_hdf5


@pytest.fixture
def hdf5_root(tmp_path: Path) -> Path:
    """A small valid set in the layout of modelnet40_ply_hdf5_2048."""
    write_hdf5(tmp_path / "small_hdf5")
    return tmp_path / "small_hdf5"
