"""Predictions item by item, kept beside a report so that two probes can be compared on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.utils.files import atomic_path, npz_names, read_npz

_PREFIX = "predictions."


@dataclass(frozen=True)
class Predictions:
    """What classifiers answered for the test items.

    Attributes:
        labels: (n,) the true classes.
        rows: the predictions (S, n) under S seeds, by ``features.representation.setting``.
        seeds: (S,) the probe seeds.
        items: a hash of the test items, the same only for the same ones.
    """

    labels: Labels
    rows: Mapping[str, NDArray[np.integer]]
    seeds: Labels
    items: str

    def correct(self, row: str) -> NDArray[np.bool_]:
        """Whether each item was classified right under each seed: (S, n)."""
        right: NDArray[np.bool_] = self.rows[row] == self.labels
        return right


def row_name(features: str, representation: str, setting: str) -> str:
    """Name a row of predictions."""
    return f"{features}.{representation}.{setting}"


def predictions_path(report: Path) -> Path:
    """Where the predictions of a report lie: beside it."""
    return report.with_name(f"{report.stem}-predictions.npz")


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions, compressed, a byte or two each.

    Raises:
        UserError: it could not be written.
    """
    small = np.min_scalar_type(max(int(predictions.labels.max(initial=0)), 1))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            labels=predictions.labels.astype(small),
            seeds=predictions.seeds,
            items=np.array(predictions.items),
            **{_PREFIX + name: rows.astype(small) for name, rows in predictions.rows.items()},
        )


def load_predictions(path: Path) -> Predictions:
    """Read what `save_predictions` wrote.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    named = [name for name in npz_names(path) if name.startswith(_PREFIX)]
    arrays = read_npz(path, ["labels", "seeds", "items", *named])
    labels, seeds = arrays["labels"], arrays["seeds"]
    rows = {name.removeprefix(_PREFIX): arrays[name] for name in named}
    whole = [labels, seeds, *rows.values()]
    shapes_fit = labels.ndim == seeds.ndim == 1 and all(
        array.shape == (len(seeds), len(labels)) for array in rows.values()
    )
    if not shapes_fit or not rows or any(array.dtype.kind not in "iu" for array in whole):
        raise UserError(f"{path} does not hold a probe's predictions: probe again to write them")
    return Predictions(labels.astype(np.int64), rows, seeds.astype(np.int64), str(arrays["items"]))
