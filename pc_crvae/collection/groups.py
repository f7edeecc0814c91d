"""Groups of like shapes, found without labels and named; and shapes unlike any other."""

import math
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_COMPONENTS = 32
"""Principal directions of the unit vectors in which groups are looked for."""

_SHARE_OF_WORD = 0.6
"""Of a group's shapes that a word has to be in the path of, to name it."""

_LIFT = 2.0
"""How many times as common a word has to be in the group as in all."""

_WHISKER = 1.5
_MOST_OUTLIERS = 0.1


@dataclass(frozen=True)
class Group:
    """Shapes that lie close together.

    Attributes:
        name: a word of their folders or names, or the name of the one in their middle.
        rows: the rows of its shapes.
        medoid: the row of the one nearest to all others.
    """

    name: str
    rows: tuple[int, ...]
    medoid: int


def reduced(units: NDArray[np.floating]) -> NDArray[np.float64]:
    """Project unit vectors (n, d) on at most `_COMPONENTS` principal directions: (n, c)."""
    from sklearn.decomposition import PCA

    count = min(_COMPONENTS, *units.shape)
    centered = np.asarray(units, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of vectors that all coincide, which have no variance
        solver = "full" if min(units.shape) <= 512 else "randomized"
        found = PCA(count, svd_solver=solver, random_state=0).fit_transform(centered)
    projected: NDArray[np.float64] = np.nan_to_num(found)
    return projected


def find_groups(codes: NDArray[np.float64], ids: Sequence[str]) -> list[Group]:
    """Group shapes by HDBSCAN, the largest group first; shapes may belong to none.

    Args:
        codes: (n, c), of unit vectors.
        ids: (n,) their paths within the collection.
    """
    from sklearn.cluster import HDBSCAN
    from threadpoolctl import threadpool_limits

    # The smallest group: 3 of 30 shapes, 8 of 1,000, 25 of 10,000.
    size = max(3, round(math.sqrt(len(codes)) / 4))
    if len(codes) < 2 * size:
        return []
    with threadpool_limits(1):
        labels = HDBSCAN(
            min_cluster_size=size,
            min_samples=2,
            # A group of most of the shapes says nothing: what it is made of does.
            max_cluster_size=max(size, len(codes) // 2),
            copy=True,
        ).fit_predict(codes)
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    members.sort(key=lambda rows: (-len(rows), rows[0]))
    words = [_words(name) for name in ids]
    overall = Counter(word for own in words for word in own)
    groups: list[Group] = []
    used: Counter[str] = Counter()
    for rows in members:
        medoid = int(rows[_medoid(codes[rows])])
        name = _common_word(rows, words, overall) or f"like {_short(ids[medoid])}"
        used[name] += 1
        shown = name if used[name] == 1 else f"{name} ({used[name]})"
        groups.append(Group(shown, tuple(rows.tolist()), medoid))
    return groups


def find_outliers(nearest: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows of shapes that are unlike any other, the most unlike first, at most a tenth.

    By Tukey's fence: a distance above the upper quartile by more than 1.5 times the range between
    the quartiles.

    Args:
        nearest: (n,) distances to the nearest other shape.
    """
    if len(nearest) < 5:
        return np.empty(0, np.int64)
    low, high = np.quantile(nearest, [0.25, 0.75])
    beyond = np.flatnonzero(nearest > high + _WHISKER * (high - low))
    most = max(1, int(_MOST_OUTLIERS * len(nearest)))
    return beyond[np.argsort(-nearest[beyond], kind="stable")][:most]


def _short(name: str) -> str:
    """The last part of a path, with the one before where it is a mere number."""
    last = name.rpartition("/")[2]
    return last if _words(last) else "/".join(name.split("/")[-2:])


def _medoid(codes: NDArray[np.float64]) -> int:
    """The row nearest to the mean, which for squared distances is nearest to all."""
    return int(np.square(codes - codes.mean(axis=0)).sum(axis=1).argmin())


def _words(name: str) -> frozenset[str]:
    """Words of a path: letters alone, three or more, so that numbers of parts do not count."""
    return frozenset(word for word in re.findall(r"[^\W\d_]{3,}", name.lower()))


def _common_word(
    rows: NDArray[np.int64], words: Sequence[frozenset[str]], overall: Counter[str]
) -> str | None:
    inside = Counter(word for row in rows for word in words[row])
    lifts: dict[str, float] = {}
    for word in sorted(inside):
        share, everywhere = inside[word] / len(rows), overall[word] / len(words)
        if share >= _SHARE_OF_WORD and share >= _LIFT * everywhere:
            lifts[word] = share - everywhere
    return max(lifts, key=lambda word: lifts[word], default=None)
