"""Classifiers that no training changes are fitted once, and taken from the cache only where due."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.solids import clouds
from pc_crvae.data.cache.pruning import prune
from pc_crvae.evaluation.probe import kept_fits
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM, Ridge
from pc_crvae.evaluation.probe.kept_fits import fit_once
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.run import probe_encoders

SVM = LinearSVM(c=(1e-3, 1e-1))


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fits(monkeypatch):
    """The classifiers that were fitted and not taken from the cache."""
    made = []
    fit = Task.fit
    monkeypatch.setattr(Task, "fit", lambda task, rule: made.append(rule) or fit(task, rule))
    return made


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)).astype(np.float32)
    return Task(features, np.arange(60) % 3 + (features[:, 0] > 0), {}, True, 3, 0)


def test_what_was_fitted_before_is_taken_with_all_that_it_says(fits, task):
    made, taken = fit_once(task, SVM), fit_once(task, SVM)
    assert len(fits) == 1
    others = np.random.default_rng(1).normal(size=(40, 5))
    np.testing.assert_array_equal(taken.predict(others), made.predict(others))
    np.testing.assert_array_equal(taken.held_out, made.held_out)
    assert (taken.chosen, taken.converged) == (made.chosen, made.converged)


def test_whatever_a_fit_depends_on_makes_another(fits, task, monkeypatch):
    fit_once(task, SVM)
    features = task.train.copy()
    features[7, 2] = np.nextafter(features[7, 2], 1)
    labels = np.roll(task.train_labels, 1)
    for other in (
        replace(task, train=features),
        replace(task, train=task.train.astype(np.float64)),
        replace(task, train=task.train.T.copy().T.reshape(60, 5)[:, ::-1]),
        replace(task, train_labels=labels),
        replace(task, standardise=False),
        replace(task, folds=4),
        replace(task, seed=1),
    ):
        fit_once(other, SVM)
    fit_once(task, LinearSVM(c=(1e-3, 1e-2)))
    monkeypatch.setattr(kept_fits, "library_versions", lambda: {"torch": "another"})
    fit_once(task, SVM)
    assert len(fits) == 10


def test_a_change_of_what_fits_makes_another(fits, task, monkeypatch, tmp_path):
    fit_once(task, SVM)
    for place in range(len(kept_fits._FITTING)):
        changed = [SimpleNamespace(__file__=module.__file__) for module in kept_fits._FITTING]
        text = tmp_path / f"{place}.py"
        text.write_text(Path(changed[place].__file__).read_text() + "# changed")
        changed[place].__file__ = str(text)
        monkeypatch.setattr(kept_fits, "_FITTING", changed)
        fit_once(task, SVM)
        assert len(fits) == place + 2


def test_the_same_bytes_in_another_shape_or_type_are_another(task):
    def key(features, labels):
        return kept_fits._key_of(replace(task, train=features, train_labels=labels), SVM)

    zeros = np.zeros((60, 6), np.float32)
    keys = {
        key(zeros, task.train_labels),
        key(zeros.reshape(120, 3), task.train_labels),
        key(zeros.view(np.float64), task.train_labels),
    }
    assert len(keys) == 3


def test_a_damaged_file_is_told_and_made_anew(fits, task, cache):
    fit_once(task, SVM)
    (path,) = cache.rglob("*.sqlite")
    path.write_bytes(b"no database" * 1000)
    with pytest.warns(UserWarning, match=r"are lost, so they are fitted anew \(file is not"):
        fit_once(task, SVM)
    fit_once(task, SVM)
    assert len(fits) == 2


def test_one_penalty_has_nothing_held_out_and_is_kept_too(fits, task):
    one = LinearSVM(c=(1e-2,))
    assert fit_once(task, one).held_out is None
    assert fit_once(task, one).held_out is None
    assert len(fits) == 1


def test_other_classifiers_are_fitted_each_time(fits, task):
    ridge = Ridge(name="ridge", alpha=(1.0, 10.0))
    fit_once(task, ridge)
    fit_once(task, ridge)
    assert len(fits) == 2


def test_a_damaged_row_is_fitted_anew(fits, task, cache):
    fit_once(task, SVM)
    (path,) = cache.rglob("*.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kept SET content = substr(content, 1, 99)")
    fit_once(task, SVM)
    assert len(fits) == 2


def test_a_cache_that_cannot_be_used_is_told_and_nothing_is_lost(fits, task, cache):
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="classifiers are not kept"):
        made = fit_once(task, SVM)
    assert made.held_out is not None
    assert len(fits) == 1


def test_prune_says_what_it_is(task):
    fit_once(task, SVM)
    (found,) = prune(everything=True).removed
    assert (
        found.name == "what is kept of probes: classifiers of descriptors and of untrained encoders"
    )


def test_a_second_probe_fits_what_was_trained_alone(fits):
    train, test = clouds("train"), clouds("test")
    protocol = ProbeProtocol(
        points=24, seeds=(3, 1), classifier=SVM, settings=("aligned",), retrieval=False
    )

    def encode(points):
        return {"mean": points.std(axis=1), "pooled": np.abs(points).max(axis=1)}

    def probe():
        return probe_encoders(
            encode,
            lambda seed: encode,
            train,
            test,
            protocol,
            training_free=lambda _: {"first": encode},
        )

    first = probe().report
    made = len(fits)
    again = probe().report
    assert again == first
    assert len(fits) - made == len(protocol.seeds) * len(protocol.representations)
