import json
import re

import numpy as np
import pytest
from PIL import Image

from pc_crvae.visualization.embedding_map import (
    Projection,
    class_colors,
    map_element,
    project_codes,
)

RNG = np.random.default_rng(0)


def map_of(places, misclassified):
    """The map of five random images, and their pixels."""
    pixels = RNG.integers(0, 256, (5, 3, 4, 4)).astype(np.uint8)
    element = map_element(
        [Projection("PCA", "note", places)],
        pixels.astype(np.float32) / 255,
        tuple("01234"),
        misclassified,
        labels=np.arange(5) % 2,
        classes=("a", "b"),
    )
    return element, pixels


def content_of(element):
    return json.loads(re.findall(r'id="map-content">(.*?)</script>', element)[0])


def test_pca_keeps_the_directions_of_most_variance():
    codes = RNG.normal(size=(50, 4)) * [0.1, 10, 0.01, 3] + 5
    pca = project_codes(codes)[-1]
    assert pca.name == "PCA"
    centered = codes - codes.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centered, full_matrices=False)
    expected = (left * sizes)[:, :2] / np.abs(centered).max()
    np.testing.assert_allclose(np.abs(pca.places), np.abs(expected), atol=1e-9)


def test_t_sne_keeps_groups_apart_whatever_the_scale_and_the_same_again():
    groups = np.repeat(np.eye(3), 10, axis=0)
    codes = (groups + RNG.normal(scale=0.01, size=groups.shape)).astype(np.float32)
    for scale in (1e-6, 1.0, 1e6):
        tsne = project_codes(codes * np.float32(scale))[0]
        assert tsne.name == "t-SNE"
        distances = np.linalg.norm(tsne.places[:, None] - tsne.places, axis=2)
        distances[np.diag_indices(30)] = np.inf
        assert (distances.argmin(axis=1) // 10 == np.arange(30) // 10).all()
    first, again = (project_codes(codes)[0].places for _ in range(2))
    assert (first == again).all()
    # The longest way across lies across the page.
    assert np.ptp(first[:, 0]) > np.ptp(first[:, 1])


@pytest.mark.parametrize(("count", "dimensions"), [(2, 8), (4, 1), (5, 1), (30, 1)])
def test_few_items_and_a_single_dimension_have_places(count, dimensions):
    found = project_codes(RNG.normal(size=(count, dimensions)))
    assert [one.name for one in found] == (["t-SNE", "PCA"] if count >= 5 else ["PCA"])
    assert all(one.places.shape == (count, 2) and np.isfinite(one.places).all() for one in found)


@pytest.mark.parametrize("codes", [np.zeros((6, 3)), np.full((6, 3), 7.3), np.ones((1, 3))])
def test_codes_that_coincide_have_no_map(codes):
    assert project_codes(codes) == []


def test_each_item_lies_in_the_map_at_one_scale_and_an_image_of_it_in_the_sheet():
    places = np.array([[0, 0], [2, 0], [2, 1], [0, 1], [1, 0.5]])
    element, _ = map_of(places, [None] * 4 + ["a"])
    content = content_of(element)
    drawn = np.array(content["maps"][0]["places"])
    across, upwards = drawn[1] - drawn[0], drawn[3] - drawn[0]
    assert across[0] == pytest.approx(-2 * upwards[1])  # up the page is down in its units
    assert drawn.min() >= 16 - 0.1
    assert (drawn.max(axis=0) <= [704.1, 504.1]).all()
    assert [item["class"] for item in content["items"]] == ["a", "b", "a", "b", "a"]
    assert content["items"][4]["guess"] == "a"
    assert element.count(" class=wrong>") == 1


def test_the_sheet_of_images_holds_them_as_they_are(tmp_path):
    import base64
    import io

    element, pixels = map_of(RNG.normal(size=(5, 2)), [None] * 5)
    kind, data = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', element)[0]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert kind == "png"
    columns = int(re.findall(r'data-columns="(\d+)"', element)[0])
    for place in range(5):
        top, left = 4 * (place // columns), 4 * (place % columns)
        cut = sheet[top : top + 4, left : left + 4]
        assert (cut == pixels[place].transpose(1, 2, 0)).all()


def test_classes_have_colours_of_their_own():
    for count in (1, 20, 40, 60):
        assert len(set(class_colors(count))) == count
