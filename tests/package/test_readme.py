"""The README's Python runs as it stands there."""

import re
from pathlib import Path

import pytest

from pc_crvae.config import load_config
from pc_crvae.models.pretrained import write_export
from pc_crvae.training.build import build_model
from pc_crvae.utils.resources import checkout_folder, resource_folder

CHECKOUT = checkout_folder()


@pytest.mark.skipif(CHECKOUT is None, reason="an installed package carries no README")
def test_the_python_of_the_readme_runs_from_first_line_to_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = tmp_path / "runs" / "quickstart"
    run.mkdir(parents=True)
    write_export(build_model(load_config(resource_folder("configs") / "quickstart.yaml")), run)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["codes"].shape == (2, 128)
    assert names["path"].shape == (9, 256, 3)
    assert names["consistency"].shape == (8,)
    assert (tmp_path / "my-model" / "model.safetensors").is_file()
