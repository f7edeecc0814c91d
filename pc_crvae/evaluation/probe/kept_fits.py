"""Classifiers that no training changes, kept so that the next probe of the same data has them.

Those of descriptors and of untrained encoders take most of a probe's time, and are the same
whatever model is probed. A row's key is the SHA-256 of all that a fit depends on: the features and
labels themselves, the settings, the solver's own text and the versions of the libraries.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from pc_crvae.data.cache.kept import Kept, open_kept
from pc_crvae.data.cache.store import COLLECTIONS, alone, cache_folder, warn
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe import linear_svm, sample_factors, sample_products, squared_hinge
from pc_crvae.evaluation.probe.classifier_settings import Classifier, LinearSVM
from pc_crvae.evaluation.probe.classifiers import FittedClassifier
from pc_crvae.evaluation.probe.linear_svm import FittedProbe
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.reports import library_versions

_SOLVER = (linear_svm, squared_hinge, sample_factors, sample_products)

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
    found = _kept(lambda rows: rows.get(key))
    if found is not None:
        values, arrays = found
        return FittedClassifier.of_linear_svm(FittedProbe(**values | arrays))
    fitted = task.fit(classifier)
    fields = vars(fitted.linear_svm)
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    _kept(lambda rows: rows.put(key, ({name: fields[name] for name in ("c", "converged")}, arrays)))
    return fitted


def _kept(use: Callable[[Kept], _Answer]) -> _Answer | None:
    """Use the file that keeps them; None where it cannot be."""
    try:
        place = cache_folder() / COLLECTIONS / hashlib.sha256(b"classifiers").hexdigest()[:16]
        with alone(place), open_kept(place.with_suffix(".sqlite")) as rows:
            rows.say("places", "probes: classifiers of descriptors and of untrained encoders")
            return use(rows)
    except UserError as error:
        warn(f"classifiers are not kept, so each probe fits them anew: {error}")
        return None


def _key_of(task: Task, classifier: LinearSVM) -> str:
    digest = hashlib.sha256()
    for array in (task.train, np.asarray(task.train_labels)):
        digest.update(json.dumps([array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    for module in _SOLVER:
        digest.update(Path(str(module.__file__)).read_bytes())
    settings = classifier.model_dump(), task.standardise, task.folds, task.seed
    digest.update(json.dumps([settings, library_versions()], sort_keys=True).encode())
    return digest.hexdigest()
