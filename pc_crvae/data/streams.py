"""Training sets that differ from epoch to epoch: sets without an end, and mixtures of sets.

An epoch is a set as any other, whose clouds are picked, or made, when they are asked for. What it
holds depends on the parts, the seed and the number of the epoch alone.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pc_crvae.config.data import DataConfig, MixtureConfig, SharedSetConfig
from pc_crvae.data.cards import Card, load_card
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.items import PickedRows, Rows, joined, told_apart
from pc_crvae.data.layouts import endless_reader_of
from pc_crvae.data.loading import load_training
from pc_crvae.errors import UserError
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.utils.up_axes import Axis, parse_up

_VALIDATION_FROM = 2**61
"""The number of the first cloud of a set without an end that is held out for validation."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StreamedClouds(CloudSet):
    """A training set of clouds that differs from epoch to epoch; itself it holds the first epoch.

    Attributes:
        epoch: returns the clouds of an epoch by its number, from 0; None where all hold the same.
        identity: what fixes the clouds of all epochs.
    """

    epoch: Callable[[int], CloudSet] | None
    identity: str

    def of_epoch(self, epoch: int) -> CloudSet:
        """Return what an epoch of training goes through."""
        return self if self.epoch is None else self.epoch(epoch)

    def subset(self, indices: Sequence[int] | NDArray[np.int64], split: str | None = None) -> Self:
        """Return items of the first epoch, the same ones for every epoch."""
        return replace(super().subset(indices, split), epoch=None)

    def fingerprint(self) -> str:
        """Return a SHA-256, in hex, over what fixes the clouds of all epochs."""
        if self.epoch is None:
            return super().fingerprint()
        return hashlib.sha256(self.identity.encode()).hexdigest()


def load_streamed(data: DataConfig | MixtureConfig, seed: int) -> tuple[StreamedClouds, CloudSet]:
    """Load sets that training takes by epochs of a given size, and what is held out of them.

    Of a finite set the validation part is what :func:`load_training` gives; it is gone through
    without repetition, each time in another order, before any of it comes again. A set without an
    end has other clouds for validation than for training. Several sets are validated on in
    proportion to their shares, and their labels are left out.

    Args:
        data: one set, or a mixture of several. Where it does not say how many items an epoch has,
            it has as many as the finite sets, or else as their cards count.
        seed: fixes the order in which finite sets are gone through.

    Raises:
        UserError: a set cannot be loaded, is not of clouds, or the sets do not go together.
    """
    parts, fraction = data.sets, data.validation_fraction
    cards = [load_card(part.name) for part in parts]
    for part, card in zip(parts, cards, strict=True):
        if card.modality != "points":
            raise UserError(
                f"{part.name} holds {card.modality}, and mixtures and data.items_per_epoch take "
                "point clouds: leave it out, or train on it alone and without data.items_per_epoch"
            )
    _check_axes(parts, cards)
    finite = [_load_finite(part, card, fraction) for part, card in zip(parts, cards, strict=True)]
    points = _points(cards, [one for one in finite if one is not None])
    sources: list[_Source] = []
    for part, card, halves in zip(parts, cards, finite, strict=True):
        if halves is not None:
            rows, identity = halves[0].points, halves[0].fingerprint()
            sources.append(_Finite(card.name, part.share, rows, identity, *halves, seed))
        elif (reader := endless_reader_of(card)) is not None:
            sources.append(_Endless(card.name, part.share, *reader.endless(card, points)))
    sizes = [len(halves[0]) for halves in finite if halves is not None]
    counted = sum(sizes) or sum(card.recipe("train")[0] for card in cards)
    mixture = _Mixture(tuple(sources), data.items_per_epoch or counted)
    return mixture.training_set(), mixture.validation_set(fraction)


def is_endless(name: str) -> bool:
    """Whether training on a set goes on to other clouds in every epoch."""
    return endless_reader_of(load_card(name)) is not None


@dataclass(frozen=True)
class _Finite:
    name: str
    share: float
    rows: Rows[np.float32]
    identity: str
    train: CloudSet
    validation: CloudSet
    seed: int

    def numbers(self, first: int, count: int) -> NDArray[np.int64]:
        """Rows of the train part at the places first, ... of an order without an end."""
        size = len(self.train)
        rounds = range(first // size, -(-(first + count) // size))
        generators = [keyed_numpy_generator("stream", self.seed, self.name, k) for k in rounds]
        orders = [generator.permutation(size) for generator in generators]
        start = first - rounds.start * size
        whole: NDArray[np.int64] = np.concatenate([np.empty(0, dtype=np.int64), *orders])
        return whole[start : start + count]

    def names(self, numbers: NDArray[np.int64]) -> Iterator[str]:
        return told_apart(self.train.ids[number] for number in numbers.tolist())

    def held_out(self, count: int) -> CloudSet:
        order = keyed_numpy_generator("held out", self.name).permutation(len(self.validation))
        return self.validation.subset(np.sort(order[:count]))


@dataclass(frozen=True)
class _Endless:
    name: str
    share: float
    rows: Rows[np.float32]
    identity: str

    def numbers(self, first: int, count: int) -> NDArray[np.int64]:
        return np.arange(first, first + count, dtype=np.int64)

    def names(self, numbers: NDArray[np.int64]) -> Iterator[str]:
        return (f"{self.name}-{number:07d}" for number in numbers.tolist())

    def held_out(self, count: int) -> CloudSet:
        made = self.rows[np.arange(_VALIDATION_FROM, _VALIDATION_FROM + count)]
        ids = tuple(f"{self.name}-validation-{row:07d}" for row in range(count))
        return CloudSet(
            name=self.name, split="validation", points=made, labels=None, classes=(), ids=ids
        )


_Source = _Finite | _Endless
_Part = DataConfig | SharedSetConfig


@dataclass(frozen=True)
class _Mixture:
    sources: tuple[_Source, ...]
    items_per_epoch: int

    @property
    def name(self) -> str:
        return " + ".join(source.name for source in self.sources)

    def training_set(self) -> StreamedClouds:
        parts = [f"{source.share} of {source.identity}" for source in self.sources]
        identity = parts[0] if len(parts) == 1 else repr(parts)
        return StreamedClouds(**vars(self.epoch(0)), epoch=self.epoch, identity=identity)

    def epoch(self, epoch: int) -> CloudSet:
        """The clouds of an epoch, one source after another."""
        counts = _apportioned(self.items_per_epoch, [source.share for source in self.sources])
        shared = zip(self.sources, counts, strict=True)
        taken = [source.numbers(epoch * count, count) for source, count in shared]
        only = self.sources[0] if len(self.sources) == 1 else None
        of_one = only.train if isinstance(only, _Finite) else None
        labels = None if of_one is None or of_one.labels is None else of_one.labels[taken[0]]
        about: dict[str, Any] = {
            "name": self.name,
            "split": "train",
            "labels": labels,
            "classes": () if of_one is None else of_one.classes,
            "ids": tuple(self._names(taken)),
        }
        if only is not None:
            return CloudSet(points=PickedRows(only.rows, taken[0]), **about)
        rows = _RowsOfSeveral([source.rows for source in self.sources], taken)
        return CloudSet(points=PickedRows(rows, np.arange(self.items_per_epoch)), **about)

    def _names(self, taken: list[NDArray[np.int64]]) -> Iterator[str]:
        for source, numbers in zip(self.sources, taken, strict=True):
            for name in source.names(numbers):
                yield name if len(self.sources) == 1 else f"{source.name}/{name}"

    def validation_set(self, fraction: float) -> CloudSet:
        """What is held out of each source, in proportion to the shares."""
        finite = [source for source in self.sources if isinstance(source, _Finite)]
        count = round(fraction * self.items_per_epoch)
        if finite:
            least = min(len(source.validation) / source.share for source in finite)
            count = math.floor(least + 1e-9)
        shares = [source.share for source in self.sources]
        if len(self.sources) == 1:
            return self.sources[0].held_out(count)
        counts = _apportioned(count, shares)
        parts = []
        for source, own in zip(self.sources, counts, strict=True):
            held_out = source.held_out(own)
            ids = tuple(f"{source.name}/{name}" for name in held_out.ids)
            parts.append(replace(held_out, name=self.name, labels=None, classes=(), ids=ids))
        return joined(parts, "validation")


class _RowsOfSeveral:
    """Rows picked from several, one after another.

    Args:
        sources: what each part's rows are picked from, (m, P, 3).
        numbers: (n_k,) of each.
    """

    def __init__(
        self, sources: Sequence[Rows[np.float32]], numbers: Sequence[NDArray[np.int64]]
    ) -> None:
        self._sources = sources
        self._numbers = np.concatenate(numbers)
        self._source = np.repeat(np.arange(len(sources)), [len(part) for part in numbers])
        self.shape = (len(self._numbers), *sources[0].shape[1:])
        self.dtype: np.dtype[np.float32] = np.dtype(np.float32)

    def __getitem__(self, rows: int | np.integer | NDArray[np.int64]) -> NDArray[np.float32]:
        if not np.ndim(rows):
            return self._sources[int(self._source[rows])][self._numbers[rows]]
        return np.stack([self[row] for row in np.asarray(rows)])


def _load_finite(part: _Part, card: Card, fraction: float) -> tuple[CloudSet, CloudSet] | None:
    """The training and the validation part of a finite set; None for one without an end."""
    if endless_reader_of(card) is not None:
        given = [name for name in ("root", "up") if part.reading.get(name) is not None]
        if given:
            raise UserError(
                f"{part.name} is generated, upright and without files: leave out {given[0]}"
            )
        return None
    train, validation = load_training(part.name, fraction, **part.reading)
    assert isinstance(train, CloudSet)
    assert isinstance(validation, CloudSet)
    return train, validation


def _check_axes(parts: Sequence[_Part], cards: Sequence[Card]) -> None:
    axes: dict[str, Axis | None] = {}
    is_unsaid = False
    for part, card in zip(parts, cards, strict=True):
        said = part.reading.get("up")
        axes[part.name] = parse_up(said).default or card.up
        is_unsaid |= said is None and endless_reader_of(card) is None
    if len(set(axes.values())) > 1 and is_unsaid:
        told = " and ".join(f"{axis} in {name}" for name, axis in axes.items())
        raise UserError(
            f"the sets of a mixture have other up axes ({told}): if that is so, say it with up for "
            "each set that has files, and all are turned to z"
        )


def _points(cards: Sequence[Card], finite: Sequence[tuple[CloudSet, CloudSet]]) -> int:
    """The points a cloud of all sets; those that are made have as many as the others."""
    counts = {train.name: train.points.shape[1] for train, _ in finite}
    if not counts:
        counts = {card.name: card.points or 0 for card in cards}
    if len(set(counts.values())) > 1:
        told = " and ".join(f"{count:,} in {name}" for name, count in counts.items())
        raise UserError(
            f"the sets of a mixture have as many points a cloud, and these have {told}: leave one "
            "out"
        )
    return next(iter(counts.values()))


def _apportioned(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers that sum to ``total``, nearest to the shares by largest remainders."""
    exact = [total * share / math.fsum(shares) for share in shares]
    counts = [math.floor(each + 1e-9) for each in exact]
    by_remainder = sorted(range(len(shares)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: total - sum(counts)]:
        counts[k] += 1
    return counts
