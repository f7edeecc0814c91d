"""Embedding by Ray Data writes the parts that `embed --shard` would, which merge to one index."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from pc_crvae.data.facing import up_in_full
from pc_crvae.data.readers.shape_files import find_shape_files
from pc_crvae.embedding.index import About, load_embeddings
from pc_crvae.embedding.parts import merge_parts
from pc_crvae.embedding.shapes import embeddings_of_files
from pc_crvae.runs.saved import SavedModel
from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no examples")


def run(folder: Path, parts: Path) -> str:
    assert CHECKOUT is not None
    script = CHECKOUT / "examples" / "embed_with_ray.py"
    done = subprocess.run(
        [sys.executable, script, folder, "--out", parts, "--part-files", "4", "--actors", "2"],
        # Actors import from where the test does; a local Ray of two processors.
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "RAY_OVERRIDE_RESOURCES": '{"CPU": 2}'},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_actors_write_parts_that_merge_to_what_embed_gives(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'pc-crvae[ray]'")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    folder, parts = tmp_path / "meshes", tmp_path / "parts"
    folder.mkdir()
    for row in range(10):
        trimesh.creation.box((1, 1 + row, 2)).export(folder / f"{row}.stl")
    (folder / "bad.off").write_text("OFF\n")
    assert "1 files were refused" in run(folder, parts)
    assert "0 made now" in run(folder, parts)
    merged = merge_parts(parts, tmp_path / "all.npz")
    assert (merged.parts, merged.vectors, merged.refused) == (3, 10, 1)
    saved = SavedModel.open(Path("pretrained-so3"), device="auto")
    model = saved.point_model
    about = About(model_sha256=saved.weights_sha256, points=model.points, up=up_in_full(None))
    whole = embeddings_of_files(model, find_shape_files([folder]), about, lambda reason: None)
    found = load_embeddings(tmp_path / "all.npz")
    assert (found.ids, found.sources, found.about) == (whole.ids, whole.sources, whole.about)
    np.testing.assert_allclose(found.vectors, whole.vectors, atol=1e-5)
