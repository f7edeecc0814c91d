from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import NormalizeScale

from pc_crvae.data.clouds import normalize, turn_z_up
from pc_crvae.data.torch_geometric import from_torch_geometric, to_torch_geometric
from pc_crvae.errors import UserError


class Small(InMemoryDataset):
    """Whatever items it is given, put together as torch-geometric keeps them."""

    def __init__(self, items: list[Data], categories: list[str] | None = None) -> None:
        super().__init__()
        self.data, self.slices = self.collate(items)
        if categories is not None:
            self.categories = categories


def cloud(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def items_of(*counts: int) -> list[Data]:
    return [
        Data(pos=cloud(count, seed), y=torch.tensor([seed % 2]))
        for seed, count in enumerate(counts)
    ]


def test_points_labels_and_names_come_over():
    items = items_of(20, 20, 20)
    clouds = from_torch_geometric(Small(items, ["bed", "chair"]), "test")
    expected = normalize(np.stack([item.pos.double().numpy() for item in items]))
    np.testing.assert_array_equal(clouds.points, expected)
    assert clouds.labels.tolist() == [0, 1, 0]
    assert (clouds.name, clouds.split, clouds.classes) == ("Small", "test", ("bed", "chair"))
    assert clouds.ids == ("000000", "000001", "000002")


def test_names_can_be_given_and_are_numbers_otherwise():
    small = Small(items_of(20, 20))
    assert from_torch_geometric(small, "train").classes == ("0", "1")
    named = from_torch_geometric(small, "train", name="mine", classes=["a", "b", "c"])
    assert (named.name, named.classes) == ("mine", ("a", "b", "c"))


@pytest.mark.parametrize("up", ["x", "y", "z"])
def test_the_up_axis_is_turned_to_z(up: str):
    items = items_of(20)
    expected = normalize(turn_z_up(items[0].pos.double().numpy()[None], up))
    np.testing.assert_array_equal(from_torch_geometric(items, "train", up=up).points, expected)


def rows(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in points.tolist()}


def test_items_of_other_counts_are_drawn_from_or_repeated():
    small = Small(items_of(50, 10, 30))
    clouds = from_torch_geometric(small, "train", count=30)
    assert clouds.points.shape == (3, 30, 3)
    assert [len(rows(points)) for points in clouds.points] == [30, 10, 30]
    again = from_torch_geometric(small, "train", count=30)
    assert clouds.fingerprint() == again.fingerprint()
    # What is drawn of an item is its own matter: the others' counts do not count.
    alone = from_torch_geometric(items_of(50), "train", count=30)
    np.testing.assert_array_equal(alone.points[0], clouds.points[0])
    alike = from_torch_geometric([Data(pos=cloud(50, 0))] * 2, "train", count=30)
    assert rows(alike.points[0]) != rows(alike.points[1])


def test_labels_of_points_are_none_of_the_item_and_a_category_is():
    items = items_of(20, 20)
    for item in items:
        item.y = torch.zeros(20, dtype=torch.long)
    assert from_torch_geometric(items, "train").labels is None
    for number, item in enumerate(items):
        item.category = torch.tensor(1 - number)
    assert from_torch_geometric(items, "train").labels.tolist() == [1, 0]


@pytest.mark.parametrize("y", [None, torch.tensor([0.5])])
def test_a_set_without_labels_has_none(y: torch.Tensor | None):
    clouds = from_torch_geometric([Data(pos=cloud(20, 0), y=y)], "train")
    assert (clouds.labels, clouds.classes) == (None, ())


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([], "list has no items"),
        ([Data(x=cloud(5, 0))], "item 0 of list carries no pos"),
        ([*items_of(9), Data(pos=cloud(9, 0)[:, :2])], r"item 1 .* shape \(9, 2\).* \(N, 3\)"),
        ([*items_of(9), Data(pos=torch.full((9, 3), torch.nan))], "item 1 of list has a coord"),
        ([*items_of(9), Data(pos=torch.ones(9, 3))], "item 1 of list is one single point"),
        ([Data(pos=torch.ones(0, 3))], "item 0 of list holds no points"),
        (items_of(9, 12, 4), "have from 4 to 12 points: say how many"),
        ([*items_of(9), Data(pos=cloud(9, 0))], "item 1 of list has no label"),
        (
            [Data(pos=cloud(9, 0), y=torch.tensor([-1]))],
            "list: the label -1 in row 0 is out",
        ),
    ],
)
def test_items_that_cannot_be_used_are_named(items: list[Data], problem: str):
    with pytest.raises(UserError, match=problem):
        from_torch_geometric(items, "train")


def test_labels_beyond_the_classes_are_named():
    with pytest.raises(UserError, match="list: the label 1 in row 1 is out of range"):
        from_torch_geometric(items_of(9, 9), "train", classes=["a"])


def test_a_count_of_nothing_is_refused():
    with pytest.raises(ValueError, match="positive"):
        from_torch_geometric(items_of(9), "train", count=0)


def test_clouds_become_data_and_come_back():
    clouds = from_torch_geometric(Small(items_of(20, 20, 20)), "train")
    items = to_torch_geometric(clouds.subset([2, 1]))
    assert [item.id for item in items] == ["000002", "000001"]
    assert [item.y.tolist() for item in items] == [[0], [1]]
    assert items[0].pos.dtype == torch.float32
    np.testing.assert_array_equal(items[0].pos, clouds.points[2])
    back = from_torch_geometric(items, "train")
    np.testing.assert_allclose(back.points, clouds.points[[2, 1]], atol=1e-6)
    items[0].pos += 1
    assert np.abs(clouds.points[2]).max() <= 1


def test_clouds_with_normals_come_back_through_torch_geometric_s_own_loader():
    clouds = from_torch_geometric(Small(items_of(20, 20, 20), ["bed", "chair"]), "train")
    clouds = replace(clouds, normals=clouds.points[:, ::-1])
    data = to_torch_geometric(clouds)
    (batch,) = DataLoader(data, batch_size=3)
    assert batch.y.tolist() == [0, 1, 0]
    assert batch.id == list(clouds.ids)
    np.testing.assert_array_equal(batch.pos.view(3, 20, 3), clouds.points)
    np.testing.assert_array_equal(batch.normal.view(3, 20, 3), clouds.normals)
    assert batch.batch.tolist() == [row for row in range(3) for _ in range(20)]
    shuffled = DataLoader(data, batch_size=2, shuffle=True, num_workers=2)
    assert sorted(name for part in shuffled for name in part.id) == list(clouds.ids)
    back = from_torch_geometric(data, "train", name="Small")
    assert (back.classes, back.ids) == (clouds.classes, clouds.ids)
    np.testing.assert_array_equal(back.labels, clouds.labels)
    np.testing.assert_allclose(back.points, clouds.points, atol=1e-6)


def test_a_transform_of_torch_geometric_is_applied_to_each_item():
    clouds = from_torch_geometric(items_of(20), "train")
    item = to_torch_geometric(clouds, transform=NormalizeScale())[0]
    assert item.pos.abs().max() == pytest.approx(0.999999)


def test_unlabelled_clouds_become_data_without_y():
    clouds = from_torch_geometric([Data(pos=cloud(20, 0))], "train")
    items = to_torch_geometric(clouds)
    assert "y" not in items[0]
    assert "normal" not in items[0]
    with_normals = replace(clouds, normals=clouds.points[:, ::-1])
    (item,) = to_torch_geometric(with_normals)
    np.testing.assert_array_equal(item.normal, clouds.points[0, ::-1])
