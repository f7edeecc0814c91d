"""What the runs of an arm score on the training split by repeated folds."""

from collections.abc import Sequence

from pc_crvae.embedding.names import TRAINING_FREE, Features
from pc_crvae.evaluation.probe.cross_validation import CrossValidated
from pc_crvae.study.figures import over_seeds
from pc_crvae.study.results import OfFolds


def of_folds(found: Sequence[CrossValidated], features: Features) -> tuple[OfFolds, ...]:
    """Gather the folds of an arm's runs, a row a representation.

    Args:
        found: the folds of each run, a run a training seed; of untrained encoders those of one run.
        features: the encoders that the arm is of.
    """
    if not found:
        return ()
    names = [row.representation for row in found[0].rows if row.features == features]
    return tuple(_row(found, features, name) for name in names)


def bar_of_folds(folds: CrossValidated | None) -> OfFolds | None:
    """The training-free row of a run's folds, over their repeats; None where there is none."""
    for row in () if folds is None else folds.rows:
        if row.features == TRAINING_FREE:
            return OfFolds(
                representation=row.representation, class_mean=over_seeds(row.class_means)
            )
    return None


def _row(found: Sequence[CrossValidated], features: Features, name: str) -> OfFolds:
    means = [
        row.class_mean.mean
        for folds in found
        for row in folds.rows
        if (row.features, row.representation) == (features, name)
    ]
    above = [
        difference.class_mean
        for folds in found
        for difference in folds.differences
        if (difference.trained, difference.against) == (name, TRAINING_FREE)
    ]
    row = OfFolds(representation=name, class_mean=over_seeds(means))
    if features != "trained" or not above:
        return row
    beside_bar = over_seeds([score.mean for score in above])
    intervals = tuple(score.interval for score in above)
    return row.model_copy(update={"above_bar": beside_bar, "intervals": intervals})
