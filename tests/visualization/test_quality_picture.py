import numpy as np
from matplotlib.image import imread

from pc_crvae.visualization.quality_picture import quality_picture


def clouds(count, points):
    cloud = np.random.default_rng(points).normal(size=(count, points, 3)).astype(np.float32)
    return cloud / np.linalg.norm(cloud, axis=2).max(axis=1)[:, None, None]


def test_the_largest_picture_stays_small_and_shows_every_row(tmp_path):
    rows = {"shapes": clouds(5, 4096), "made": clouds(5, 1024), "samples": clouds(5, 1000)}
    quality_picture(rows, tmp_path / "three.png")
    assert (tmp_path / "three.png").stat().st_size < 300_000
    del rows["samples"]
    quality_picture(rows, tmp_path / "two.png")
    three, two = (imread(tmp_path / name) for name in ("three.png", "two.png"))
    assert two.shape[0] < 0.8 * three.shape[0]
    for row in np.array_split(three[..., :3], 3):
        assert (row.min(axis=2) < 0.7).mean() > 0.05


def test_a_row_of_fewer_shapes_sets_how_many_are_shown(tmp_path):
    rows = {"shapes": clouds(5, 50), "made": clouds(5, 40), "samples": clouds(2, 30)}
    quality_picture(rows, tmp_path / "few.png")
    height, width = imread(tmp_path / "few.png").shape[:2]
    assert height > width
