"""The training-free bar of a probe: the strongest of a few descriptors, chosen without the test.

What a linear classifier reads off hand-made features, or off random networks, is much of what it
reads off trained ones (Sanghi & Jayaraman 2020, arXiv 2003.05410). The candidates are scored by the
cross-validation that chooses the classifier's parameter, on the training items under the first
probe seed, and the one with the best class mean is probed like any encoder.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.embedding.names import TRAINING_FREE, Encode
from pc_crvae.evaluation.metrics.accuracy import accuracy, class_mean_accuracy
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.classifier_settings import with_value
from pc_crvae.evaluation.probe.classifiers import (
    Features,
    FittedClassifier,
    held_out_predictions,
)
from pc_crvae.evaluation.probe.kept_fits import fit_once
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.reports import Part

Candidates = Callable[[NDArray[np.float32]], Mapping[str, Encode]]
"""From training clouds (n, P, 3), without labels, to descriptors by their kind."""


class Candidate(Part):
    """What cross-validation on the training items says of a descriptor, in [0, 1]."""

    kind: str
    class_mean: float
    accuracy: float
    dimensions: int


class TrainingFree(Part):
    """Which descriptor stands for what needs no training.

    Attributes:
        chosen: the kind of the candidate that was taken.
        candidates: all of them, in the order of their kinds.
        frames: the rotations that do not matter to them by frame averaging, those of the model.
        choice: the way it was chosen, in words.
    """

    chosen: str
    candidates: tuple[Candidate, ...]
    frames: str | None = None
    choice: str


@dataclass(frozen=True)
class Chosen:
    """The strongest candidate, and what was made of it under the first probe seed.

    Attributes:
        report: the descriptor, and the scores of the others.
        encode: clouds to its features, as ``mean``.
        train: (n, d) its features of the training items.
        fitted: the protocol's classifier on them.
    """

    report: TrainingFree
    encode: Encode
    train: Features
    fitted: FittedClassifier

    @property
    def row(self) -> tuple[str, str]:
        """Its name in outcomes: whose features, and which."""
        return TRAINING_FREE, self.report.chosen

    def fit(self, features: Features, labels: Labels, protocol: ProbeProtocol) -> FittedClassifier:
        """Fit the classifier on its features under another seed, with the value of the first."""
        task = Task(features, labels, {}, protocol.standardise, protocol.folds, seed=0)
        return fit_once(task, with_value(protocol.classifier, self.fitted.chosen))


def choose_training_free(
    candidates: Mapping[str, Encode],
    clouds: NDArray[np.float32],
    labels: Labels,
    protocol: ProbeProtocol,
    progress: Callable[[str], None] | None = None,
) -> Chosen:
    """Choose the candidate whose class mean is best by cross-validation on the training items.

    Each costs a cross-validation and a fit of the protocol's classifier, which outweigh encoding.
    So they are tried under one seed, and the value found there is held under the others.

    Args:
        candidates: the candidates by kind; where two are equal, the first is taken.
        clouds: (n, P, 3), those of the training items under the first probe seed.
        labels: (n,) of the training items.
        protocol: the protocol, whose classifier, folds and first seed are used.
        progress: a function to call with a line that says what is being done.

    Raises:
        UserError: as `fit_classifier`.
    """
    tried: list[tuple[Candidate, Features, FittedClassifier]] = []
    for kind, encode in candidates.items():
        if progress is not None:
            progress(f"training-free candidate {kind}")
        features = encode(clouds)["mean"]
        task = Task(features, labels, {}, protocol.standardise, protocol.folds, protocol.seeds[0])
        fitted = fit_once(task, protocol.classifier)
        held_out = fitted.held_out
        if held_out is None:  # nothing was to be chosen
            held_out = held_out_predictions(
                protocol.classifier,
                features,
                labels,
                standardise=protocol.standardise,
                folds=min(protocol.folds, int(np.unique(labels, return_counts=True)[1].min())),
                seed=protocol.seeds[0],
            )
        candidate = Candidate(
            kind=kind,
            class_mean=class_mean_accuracy(labels, held_out),
            accuracy=accuracy(labels, held_out),
            dimensions=features.shape[1],
        )
        tried.append((candidate, features, fitted))
    if not tried:
        raise ValueError("there is no candidate to choose from")
    best, features, fitted = max(tried, key=lambda each: each[0].class_mean)
    choice = (
        "best class mean by stratified cross-validation on the training items, under the first "
        f"probe seed, {protocol.folds} folds; the classifier's parameter likewise, and held under "
        "the other seeds"
    )
    scored = tuple(candidate for candidate, _, _ in tried)
    report = TrainingFree(chosen=best.kind, candidates=scored, choice=choice)
    return Chosen(report, candidates[best.kind], features, fitted)
