"""The package's wheel, built from a copy of the checkout."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()

needs_a_checkout = [
    pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no source to build"),
    pytest.mark.skipif(
        importlib.util.find_spec("hatchling") is None,
        reason="hatchling, which builds the wheel, is not installed: pip install pc-crvae[dev]",
    ),
]


def build_wheel(folder: Path) -> Path:
    """Build in a copy below ``folder``, with a download lying beside the cards."""
    copy = folder / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(CHECKOUT / name, copy)
    for name in ("pc_crvae", "tests", "tools", "configs"):
        shutil.copytree(CHECKOUT / name, copy / name)
    shutil.copytree(
        CHECKOUT / "datasets",
        copy / "datasets",
        ignore=lambda folder, names: {name for name in names if not name.endswith(".yaml")},
    )
    download = copy / "datasets" / "modelnet10"
    download.mkdir()
    (download / "ply_data_train0.h5").write_bytes(b"data")
    (download / "notes.yaml").write_text("not a card")
    return build(copy, "wheel")


def build(checkout: Path, target: Literal["wheel", "sdist"]) -> Path:
    """Build one of the two into ``dist`` of a checkout."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", "dist"],
        cwd=checkout,
        check=True,
    )
    (built,) = (checkout / "dist").glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return built
