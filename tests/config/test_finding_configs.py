"""Configs are found by path and by the name of one that comes along."""

from pathlib import Path

import pytest

from helpers.refused_configs import refusal
from pc_crvae.config import find_config, load_config, save_config
from pc_crvae.errors import UserError
from pc_crvae.utils.resources import resource_folder

SHIPPED = sorted(resource_folder("configs").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_config_of_the_package_is_valid_and_survives_being_saved(path, tmp_path):
    config = load_config(path)
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


def test_configs_come_with_the_package():
    assert SHIPPED


def test_a_config_is_found_by_path_and_by_the_name_of_one_that_comes_along(write, monkeypatch):
    path, shipped = write(""), SHIPPED[0]
    assert find_config(path) == path
    monkeypatch.chdir(path.parent)
    assert find_config(Path("a.yaml")) == Path("a.yaml")
    for name in (shipped.stem, shipped.name, f"configs/{shipped.name}"):
        assert find_config(Path(name)) == shipped


def test_a_config_that_is_nowhere_is_told_with_the_nearest_that_comes_along(tmp_path):
    with pytest.raises(
        UserError, match=r"there is no config .*modelnet1\.yaml: did you mean model"
    ):
        find_config(tmp_path / "modelnet1.yaml")
    with pytest.raises(UserError, match=r"the package brings .*modelnet10\.yaml"):
        find_config(tmp_path / "zzz")


def test_a_missing_config_file_is_told(tmp_path):
    assert "cannot read" in refusal(tmp_path / "none.yaml")
