"""Classifiers that no training changes, kept so that the next probe of the same data has them.

Those of descriptors and of untrained encoders take most of a probe's time, and are the same
whatever model is probed. A row's key is the SHA-256 of what a fit depends on: the features and
labels themselves, the settings, the text of the modules that fit, and the versions of the
libraries.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from pc_crvae.data.cache.kept import Kept, open_kept
from pc_crvae.data.cache.store import COLLECTIONS, NotKeptError, alone, cache_folder, warn
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe import (
    classifier_settings,
    classifiers,
    linear_svm,
    sample_factors,
    sample_products,
    squared_hinge,
)
from pc_crvae.evaluation.probe.classifier_settings import Classifier, LinearSVM
from pc_crvae.evaluation.probe.classifiers import FittedClassifier
from pc_crvae.evaluation.probe.linear_svm import FittedProbe
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.reports import library_versions

_FITTING = (
    classifiers,
    classifier_settings,
    linear_svm,
    squared_hinge,
    sample_factors,
    sample_products,
)
"""The modules that a fit goes through."""

_Answer = TypeVar("_Answer")


def fit_once(task: Task, classifier: Classifier) -> FittedClassifier:
    """Fit as `Task.fit`, unless the very same was fitted before and is kept.

    Linear SVMs are kept; other classifiers are fitted each time. A warning says that the cache
    folder cannot be used.

    Raises:
        UserError: as `Task.fit`.
    """
    if not isinstance(classifier, LinearSVM):
        return task.fit(classifier)
    key = _key_of(task, classifier)
    found = _with_rows(lambda rows: rows.get(key))
    if found is not None:
        values, arrays = found
        return FittedClassifier.of_linear_svm(FittedProbe(**values | arrays))
    fitted = task.fit(classifier)
    fields = vars(fitted.linear_svm)
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    values = {name: fields[name] for name in ("c", "converged")}
    _with_rows(lambda rows: rows.put(key, (values, arrays)))
    return fitted


def _with_rows(use: Callable[[Kept], _Answer]) -> _Answer | None:
    """Use the file that keeps them; None where it cannot be."""
    try:
        place = cache_folder() / COLLECTIONS / hashlib.sha256(b"classifiers").hexdigest()[:16]
        with alone(place), open_kept(place.with_suffix(".sqlite")) as rows:
            rows.say("places", "probes: classifiers of descriptors and of untrained encoders")
            return use(rows)
    except (NotKeptError, OSError) as error:
        warn(f"classifiers are not kept, so each probe fits them anew: {error}")
    except UserError as error:  # the rows were damaged, and are removed
        warn(
            f"the classifiers that were kept are lost, so they are fitted anew ({error.__cause__})"
        )
    return None


def _key_of(task: Task, classifier: LinearSVM) -> str:
    digest = hashlib.sha256()
    for array in (task.train, np.asarray(task.train_labels)):
        digest.update(json.dumps([array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    for module in _FITTING:
        digest.update(Path(str(module.__file__)).read_bytes())
    settings = classifier.model_dump(), task.standardise, task.folds, task.seed
    digest.update(json.dumps([settings, library_versions()], sort_keys=True).encode())
    return digest.hexdigest()
