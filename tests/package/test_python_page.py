"""The Python of docs/python.md runs as it stands there."""

import re
import textwrap
from pathlib import Path

import pytest
import torch

import pc_crvae
from pc_crvae.config import load_config
from pc_crvae.models.exports import write_export
from pc_crvae.training.build import build_model
from pc_crvae.utils.resources import checkout_folder, resource_folder

CHECKOUT = checkout_folder()


def exporting_lines() -> str:
    """The lines that make ONNX of an encoder."""
    text = (CHECKOUT / "docs" / "python.md").read_text()
    (found,) = re.findall(r"\n((?:    .*\n)*    torch\.onnx\.export.*\n)", text)
    return textwrap.dedent(found)


@pytest.fixture
def a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained model at ``runs/quickstart`` of the working directory."""
    run = tmp_path / "runs" / "quickstart"
    run.mkdir(parents=True)
    write_export(build_model(load_config(resource_folder("configs") / "quickstart.yaml")), run)
    monkeypatch.chdir(tmp_path)


@pytest.mark.skipif(CHECKOUT is None, reason="an installed package carries no documents")
def test_the_encoder_that_is_exported_is_one_for_any_number_of_clouds(
    a_run: None, monkeypatch: pytest.MonkeyPatch
):
    """Up to what torch makes ONNX of, for which no more is needed than torch."""
    programs = []

    def export(model, arguments, file, dynamic_shapes):
        programs.append(torch.export.export(model, arguments, dynamic_shapes=dynamic_shapes))

    monkeypatch.setattr(torch.onnx, "export", export)
    names = {"torch": torch, "pc_crvae": pc_crvae}
    exec(exporting_lines(), names)
    clouds = torch.rand(5, 1024, 3)
    torch.testing.assert_close(programs[0].module()(clouds), names["encoder"](clouds))


@pytest.mark.skipif(CHECKOUT is None, reason="an installed package carries no documents")
def test_the_onnx_file_gives_the_encoders_features(a_run: None):
    pytest.importorskip("onnx", reason="needs onnx: pip install pc-crvae[onnx]")
    pytest.importorskip("onnxscript", reason="needs onnxscript, by which torch exports to ONNX")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    names = {"torch": torch, "pc_crvae": pc_crvae}
    exec(exporting_lines(), names)
    session = runtime.InferenceSession("encoder.onnx")
    clouds = torch.rand(5, 1024, 3)
    (found,) = session.run(None, {session.get_inputs()[0].name: clouds.numpy()})
    expected = names["encoder"](clouds)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(CHECKOUT is None, reason="an installed package carries no documents")
def test_the_python_of_the_page_runs_from_first_line_to_last(tmp_path: Path, a_run: None):
    text = (CHECKOUT / "docs" / "python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "python.md", "exec"), names)
    assert names["codes"].shape == (2, 128)
    assert names["path"].shape == (9, 256, 3)
    assert names["consistency"].shape == (8,)
    assert (tmp_path / "my-model" / "model.safetensors").is_file()
