import numpy as np
import pytest

from benchmarks import files, libraries


def test_a_library_that_is_not_installed_is_said_and_left_out(capsys):
    found = libraries._optional("no_such_library", lambda library: {"theirs": lambda: None})
    assert found == {}
    assert "no_such_library is not installed" in capsys.readouterr().out


def test_the_k_nearest_are_those_of_the_other_contenders():
    contenders = libraries._k_nearest(500)
    ours = contenders["ours"]()[0].numpy()
    _, theirs = contenders["scipy cKDTree"]()
    np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])  # themselves
    assert (np.sort(ours) == np.sort(theirs)).mean() > 0.99  # ties aside


@pytest.mark.parametrize("triangles", [400, 1_000])
def test_a_bent_sphere_has_about_the_triangles_asked_for(triangles):
    sphere = files.bent_sphere(triangles)
    assert len(sphere.faces) == pytest.approx(triangles, rel=0.25)
    assert sphere.is_watertight


@pytest.mark.parametrize("ending", files.FORMATS)
def test_each_library_reads_the_files_that_are_timed(tmp_path, ending):
    path = tmp_path / f"sphere-{ending}"
    files.bent_sphere(200).export(path, **files.FORMATS[ending])
    contenders = files._contenders(path, None)
    assert len(contenders["read bytes"]()) > 1_000
    assert contenders["to the points"]().shape == (1024, 3)
    contenders["trimesh"]()
    contenders["Open3D"]()
