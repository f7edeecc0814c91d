"""What a protocol's classifiers answer for one set of features under one probe seed.

`predict_items` knows no label of a test item: what it returns is scored by
:mod:`pc_crvae.evaluation.probe.report` afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from pc_crvae.evaluation.metrics.clustering import cluster
from pc_crvae.evaluation.metrics.retrieval import Retrieval, retrieve
from pc_crvae.evaluation.probe.classifiers import fit_classifier
from pc_crvae.evaluation.probe.few_shot import Episode, predict_episodes, predict_from_share
from pc_crvae.evaluation.probe.linear_svm import Labels
from pc_crvae.evaluation.probe.protocol import ProbeProtocol

Features = NDArray[np.floating]
EXTRAS_SETTING = "aligned"  # of the test items that few labels, few shots and clusters are about


@dataclass(frozen=True)
class Answer:
    """One classifier's predictions for the unturned test items, and how it was fitted."""

    predictions: Labels
    chosen: float
    converged: bool


@dataclass(frozen=True)
class Outcome:
    """All answers for one set of features; what the protocol leaves out is empty.

    Attributes:
        predictions: of the protocol's classifier for the test items, by setting.
        chosen: its C, k or alpha.
        converged: whether its solver reached its tolerance in every fit.
        dimensions: of the features.
        others: answers of the other classifiers, by name.
        shares: by share of the training labels, for each draw their number and predictions.
        episodes: those of each few-shot entry.
        clusters: of the test items.
        retrieved: what the test items find of their classes, by setting; nothing where no
            class has two.
    """

    predictions: dict[str, Labels]
    chosen: float
    converged: bool
    dimensions: int
    others: dict[str, Answer] = field(default_factory=dict)
    shares: dict[float, list[tuple[int, Labels]]] = field(default_factory=dict)
    episodes: list[list[Episode]] = field(default_factory=list)
    clusters: Labels | None = None
    retrieved: dict[str, Retrieval] = field(default_factory=dict)


def predict_items(
    train: Features,
    train_labels: Labels,
    test: Mapping[str, Features],
    protocol: ProbeProtocol,
    seed: int,
) -> Outcome:
    """Fit all that a protocol asks for on the training items, and predict the test items.

    Args:
        train: (n, d).
        train_labels: (n,).
        test: (m, d) by setting.
        protocol: what is fitted.
        seed: of folds, draws and starts.

    Raises:
        UserError: as `fit_classifier`, `predict_episodes` and `cluster`.
    """
    fitted = fit_classifier(
        protocol.classifier,
        train,
        train_labels,
        standardise=protocol.standardise,
        folds=protocol.folds,
        seed=seed,
    )
    predictions = {setting: fitted.predict(items) for setting, items in test.items()}
    outcome = Outcome(predictions, fitted.chosen, fitted.converged, train.shape[1])
    if not protocol.has_extras:
        return outcome
    plain = test[EXTRAS_SETTING]
    for classifier in protocol.other_classifiers:
        other = fit_classifier(
            classifier,
            train,
            train_labels,
            standardise=protocol.standardise,
            folds=protocol.folds,
            seed=seed,
        )
        outcome.others[classifier.name] = Answer(
            other.predict(plain), other.chosen, other.converged
        )
    if protocol.low_label is not None:
        for fraction in protocol.low_label.fractions:
            outcome.shares[fraction] = predict_from_share(
                train,
                train_labels,
                plain,
                protocol.low_label,
                fraction,
                standardise=protocol.standardise,
                seed=seed,
            )
    for few_shot in protocol.few_shot:
        outcome.episodes.append(
            predict_episodes(
                train,
                train_labels,
                plain,
                few_shot,
                standardise=protocol.standardise,
                seed=seed,
            )
        )
    if protocol.clustering is None:
        return outcome
    inputs = plain.astype(np.float64)
    if protocol.standardise:
        inputs = StandardScaler().fit(train.astype(np.float64)).transform(inputs)
    clusters = cluster(
        inputs,
        len(np.unique(train_labels)),
        restarts=protocol.clustering.restarts,
        seed=seed,
    )
    return Outcome(**(vars(outcome) | {"clusters": clusters}))


def retrieve_items(test: Mapping[str, Features], labels: Labels) -> dict[str, Retrieval]:
    """Score what test items find of their classes, by setting; nothing where no class has two."""
    if np.unique(labels, return_counts=True)[1].max() < 2:
        return {}
    return {setting: retrieve(items, labels) for setting, items in test.items()}
