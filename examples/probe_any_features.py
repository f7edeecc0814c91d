"""Measure features that this package did not make, by the protocol that it measures its own by.

The features here are the oldest of shape descriptors: a histogram of the distances between random
pairs of points (D2, Osada et al. 2002). Put yours in their place: arrays (n, d), labels (n,).

    python examples/probe_any_features.py
"""

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data import CloudSet, load_clouds
from pc_crvae.evaluation import format_table, probe_features
from pc_crvae.evaluation.probe.cross_validation import CrossValidation

PAIRS, BINS = 4096, 64


def distance_histograms(clouds: CloudSet) -> NDArray[np.float32]:
    """D2 of every cloud: (n, BINS)."""
    generator = np.random.default_rng(0)
    first, second = generator.integers(clouds.points.shape[1], size=(2, PAIRS))
    histograms = []
    for points in clouds.points[:]:
        distances = np.linalg.norm(points[first] - points[second], axis=1)
        counts, _ = np.histogram(distances, bins=BINS, range=(0.0, 2.0))
        histograms.append(counts / PAIRS)
    return np.array(histograms, dtype=np.float32)


def main() -> None:
    """Probe D2 on the procedural shapes, and print the table and the protocol."""
    train, test = load_clouds("shapes", "train")[:1000], load_clouds("shapes", "test")[:400]
    report = probe_features(
        distance_histograms(train),
        np.array(train.classes)[train.labels],  # integers would do as well
        distance_histograms(test),
        np.array(test.classes)[test.labels],
        cross_validation=CrossValidation(repeats=1, folds=5),
    )
    print(format_table(report))
    print(f"\nThe classifier: {report.protocol.classifier}.")
    print(f"The value of C: {report.protocol.choice_of_c}.")
    print("In brackets: the mean over classes; the last block is from the training items alone.")

    worst = np.argmin(np.diag(report.confusion.matrix) / np.sum(report.confusion.matrix, axis=1))
    print(f"The class it knows least: {report.confusion.classes[worst]}.")


if __name__ == "__main__":
    main()
