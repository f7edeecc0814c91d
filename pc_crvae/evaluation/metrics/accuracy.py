"""How often answers are right: over items, and over classes, every class counting alike."""

import numpy as np

from pc_crvae.evaluation.metrics.arrays import Labels, check_one_label_each


def accuracy(labels: Labels, predictions: Labels) -> float:
    """Share of samples predicted right, in [0, 1]."""
    check_one_label_each(predictions, labels)
    return float(np.mean(labels == predictions))


def class_mean_accuracy(labels: Labels, predictions: Labels) -> float:
    """Mean over the classes present in ``labels`` of each one's accuracy, in [0, 1]."""
    check_one_label_each(predictions, labels)
    right = labels == predictions
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
