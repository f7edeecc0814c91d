"""What is kept from run to run comes back as it was, or not at all."""

import numpy as np

from helpers.bent_shapes import bracket, triangles
from helpers.measured_shapes import shape
from pc_crvae.collection.file_rows import FileRows
from pc_crvae.collection.store import key_of, open_store
from pc_crvae.embedding.index import About

ABOUT = About(model_sha256="0" * 64, points=8, up="z")
SHAPE = shape(triangles(bracket()), "a")
VECTOR = np.arange(5, dtype=np.float32)


def test_a_shape_comes_back_as_it_was(tmp_path):
    path = tmp_path / "a.off"
    path.touch()
    with open_store(tmp_path / "new" / "kept.sqlite") as store:
        assert store.is_empty
        FileRows(store, path, ABOUT, drop_nan=False).keep(SHAPE, VECTOR)
    with open_store(tmp_path / "new" / "kept.sqlite") as store:
        found = FileRows(store, path, ABOUT, drop_nan=False)
        back, vector = found.shape, found.vector
        assert found.refusal is None
        assert FileRows(store, path, ABOUT, drop_nan=True).vector is None
        path.write_text("changed")
        assert FileRows(store, path, ABOUT, drop_nan=False).vector is None
    assert back is not None
    np.testing.assert_array_equal(vector, VECTOR)
    np.testing.assert_array_equal(back.points, SHAPE.points)
    np.testing.assert_array_equal(back.moments.covariance, SHAPE.moments.covariance)
    assert (back.box, back.volume, back.digest) == (SHAPE.box, SHAPE.volume, SHAPE.digest)


def test_a_key_depends_on_the_content_and_on_all_settings():
    keys = {key_of("a", {"up": "z"}), key_of("b", {"up": "z"}), key_of("a", {"up": "y"})}
    assert len(keys) == 3
    assert key_of("a", {"up": "z", "points": 3}) == key_of("a", {"points": 3, "up": "z"})
