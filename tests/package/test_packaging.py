"""What a wheel holds, built from a copy of the checkout with a download lying beside the cards."""

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.wheels import CHECKOUT, build, build_wheel, needs_a_checkout

pytestmark = [pytest.mark.slow, *needs_a_checkout]


def yaml_names(kind: str) -> set[str]:
    """The YAML files of one kind, as the wheel must name them."""
    return {
        f"pc_crvae/{path.relative_to(CHECKOUT).as_posix()}"
        for path in (CHECKOUT / kind).rglob("*.yaml")
        if kind != "datasets" or path.parent.name == kind  # downloads lie below
    }


def protocol_names() -> set[str]:
    """The probe's protocols, as the wheel must name them."""
    protocols = CHECKOUT / "pc_crvae" / "evaluation" / "probe" / "protocols"
    return {str(path.relative_to(CHECKOUT)) for path in protocols.glob("*.yaml")}


def shipped_names() -> set[str]:
    """The files of the models that come with the package, as the wheel must name them."""
    shipped = CHECKOUT / "pc_crvae" / "shipped"
    return {str(path.relative_to(CHECKOUT)) for path in shipped.glob("*/*")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_a_wheel_carries_every_card_and_config_inside_the_package(wheel: zipfile.ZipFile):
    assert yaml_names("datasets")
    assert yaml_names("configs")
    assert protocol_names()
    assert yaml_names("datasets") | yaml_names("configs") <= set(wheel.namelist())


def test_a_wheel_holds_code_cards_configs_and_models_and_nothing_else(wheel: zipfile.ZipFile):
    code = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "pc_crvae").rglob("*.py")}
    templates = {
        str(path.relative_to(CHECKOUT))
        for suffix in ("html", "css", "js", "md", "tex", "toml", "txt")
        for path in (CHECKOUT / "pc_crvae").rglob(f"*.{suffix}")
    }
    assert templates
    content = {name for name in wheel.namelist() if ".dist-info/" not in name}
    schema = "pc_crvae/configs/schema.json"
    data = yaml_names("datasets") | yaml_names("configs") | protocol_names() | shipped_names()
    assert content == code | templates | data | {"pc_crvae/py.typed", schema}


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


@pytest.fixture(scope="module")
def archive(built: Path) -> Path:
    return build(built.parents[1], "sdist")


def test_a_source_archive_holds_what_builds_and_tests_the_package_and_no_download(archive: Path):
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    code = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "pc_crvae").rglob("*.py")}
    assert code | shipped_names() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "configs/schema.json"} <= names
    assert {"datasets/shapes.yaml", "tests/package/test_packaging.py"} <= names
    assert not [name for name in names if name.endswith(".h5")]


def test_the_index_takes_the_wheel_and_the_source_archive(built: Path, archive: Path):
    if importlib.util.find_spec("twine") is None:
        pytest.skip("twine, which checks them, is not installed: pip install pc-crvae[dev]")
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", built, archive],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2
