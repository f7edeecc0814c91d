"""What a wheel holds, built from a copy of the checkout with a download lying beside the cards."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no source to build"),
    pytest.mark.skipif(
        importlib.util.find_spec("hatchling") is None,
        reason="hatchling, which builds the wheel, is not installed: pip install pc-crvae[dev]",
    ),
]


def yaml_names(kind: str) -> set[str]:
    """The YAML files of one kind, as the wheel must name them."""
    return {
        f"pc_crvae/{path.relative_to(CHECKOUT).as_posix()}"
        for path in (CHECKOUT / kind).rglob("*.yaml")
        if kind != "datasets" or path.parent.name == kind  # downloads lie below
    }


def protocol_names() -> set[str]:
    """The probe's protocols, as the wheel must name them."""
    protocols = (CHECKOUT / "pc_crvae" / "evaluation" / "protocols").glob("*.yaml")
    return {str(path.relative_to(CHECKOUT)) for path in protocols}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    copy = tmp_path_factory.mktemp("checkout")
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
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", "dist"],
        cwd=copy,
        check=True,
    )
    (built,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def test_a_wheel_carries_every_card_and_config_inside_the_package(wheel: zipfile.ZipFile):
    assert yaml_names("datasets")
    assert yaml_names("configs")
    assert protocol_names()
    assert yaml_names("datasets") | yaml_names("configs") <= set(wheel.namelist())


def test_a_wheel_holds_code_cards_and_configs_and_nothing_else(wheel: zipfile.ZipFile):
    code = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "pc_crvae").rglob("*.py")}
    content = {name for name in wheel.namelist() if ".dist-info/" not in name}
    schema = "pc_crvae/configs/schema.json"
    data = yaml_names("datasets") | yaml_names("configs") | protocol_names()
    assert content == code | data | {"pc_crvae/py.typed", schema}


def test_a_wheel_carries_the_licence(wheel: zipfile.ZipFile):
    (licence,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert wheel.read(licence).decode() == (CHECKOUT / "LICENSE").read_text()


def test_an_unpacked_wheel_finds_its_own_cards(wheel: zipfile.ZipFile, tmp_path: Path):
    wheel.extractall(tmp_path)
    code = "from pc_crvae.data.cards import card_names; print(*card_names())"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    cards = sorted(path.stem for path in (CHECKOUT / "datasets").glob("*.yaml"))
    assert sorted(found.stdout.split()) == cards
