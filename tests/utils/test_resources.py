from pathlib import Path

import pytest

from pc_crvae.utils import resources


def test_a_checkout_keeps_cards_at_its_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "pc_crvae")
    assert resources.resource_folder("datasets") == tmp_path / "datasets"
    assert resources.checkout_folder() == tmp_path


def test_an_installed_package_carries_cards_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "pc_crvae")
    (tmp_path / "pc_crvae" / "datasets").mkdir(parents=True)
    assert resources.resource_folder("datasets") == tmp_path / "pc_crvae" / "datasets"
    assert resources.checkout_folder() is None
