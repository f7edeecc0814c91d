import numpy as np
import pytest

from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.probe.metrics.few_shot import FewShot, predict_episodes, score_episode
from pc_crvae.evaluation.probe.metrics.low_label import (
    LowLabel,
    predict_from_share,
    stratified_share,
)


def task(train, labels, test):
    return Task(train, labels, {"aligned": test}, standardise=True, folds=3, seed=0)


def blobs(seed, per_class=30, classes=6, spread=0.1):
    labels = np.repeat(np.arange(classes), per_class)
    centres = np.random.default_rng(99).normal(size=(classes, 8))
    noise = np.random.default_rng(seed).normal(size=(len(labels), 8))
    return centres[labels] + spread * noise, labels


def test_a_share_takes_as_much_of_each_class_and_at_least_one():
    labels = np.repeat([0, 3, 4], [100, 40, 3])
    rows = stratified_share(labels, 0.05, 1)
    assert np.bincount(labels[rows]).tolist() == [5, 0, 0, 2, 1]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, stratified_share(labels, 0.05, 1))
    assert rows.tolist() != stratified_share(labels, 0.05, 2).tolist()
    np.testing.assert_array_equal(stratified_share(labels, 1.0, 1), np.arange(143))


def test_more_labels_help_and_the_whole_is_drawn_once():
    (train, labels), (test, test_labels) = blobs(0, spread=1.2), blobs(1, spread=1.2)
    low_label = LowLabel(draws=4)
    scores = {}
    for fraction in (0.04, 1.0):
        drawn = predict_from_share(task(train, labels, test), low_label, fraction)
        scores[fraction] = np.mean([np.mean(found == test_labels) for _, found in drawn])
        assert len(drawn) == (1 if fraction == 1 else 4)
        assert {count for count, _ in drawn} == {180 if fraction == 1 else 6}
    assert scores[0.04] < scores[1.0] - 0.1


@pytest.mark.parametrize("queries_from", ["test", "train"])
def test_an_episode_is_of_its_classes_alone(queries_from):
    (train, labels), (test, test_labels) = blobs(0), blobs(1)
    few_shot = FewShot(ways=3, shots=5, queries=20, trials=8, queries_from=queries_from)
    episodes = predict_episodes(task(train, labels, test), few_shot)
    again = predict_episodes(task(train, labels, test), few_shot)
    assert len({tuple(episode.classes) for episode in episodes}) > 1
    for episode, same in zip(episodes, again, strict=True):
        assert len(set(episode.classes)) == 3
        assert set(episode.predictions) <= set(episode.classes)
        np.testing.assert_array_equal(episode.predictions, same.predictions)
        assert score_episode(episode, test_labels, 20) > 0.95
        assert score_episode(episode, test_labels, 20) == score_episode(same, test_labels, 20)


def test_queries_of_the_training_split_are_others_than_the_labelled():
    train, labels = blobs(0)
    few_shot = FewShot(ways=6, shots=10, queries=20, trials=1, queries_from="train")
    (episode,) = predict_episodes(task(train, labels, train[:0]), few_shot)
    left = episode.candidates >= 0
    assert np.bincount(labels[left]).tolist() == [20] * 6
    assert np.bincount(labels[~left]).tolist() == [10] * 6
    np.testing.assert_array_equal(episode.candidates[left], labels[left])


def test_an_episode_scores_as_many_of_each_class_however_many_there_are():
    (train, labels), (test, test_labels) = blobs(0), blobs(1)
    few_shot = FewShot(ways=2, shots=5, queries=10, trials=1)
    (episode,) = predict_episodes(task(train, labels, test), few_shot)
    first, second = episode.classes
    # Right on the first class and wrong on the second, of which there are a third as many.
    kept = np.flatnonzero((test_labels == first) | (np.cumsum(test_labels == second) <= 10))
    always = type(episode)(episode.classes, np.full(len(kept), first), None, episode.key)
    assert score_episode(always, test_labels[kept], 10) == 0.5


def test_too_few_classes_or_items_are_refused():
    (train, labels), (test, test_labels) = blobs(0), blobs(1)

    def predict(**kind):
        return predict_episodes(task(train, labels, test), FewShot(**kind))

    with pytest.raises(UserError, match="episodes of 7 classes cannot be drawn from 6"):
        predict(ways=7)
    with pytest.raises(UserError, match="30 training items, fewer than the 31"):
        predict(shots=31)
    with pytest.raises(UserError, match="30 training items, fewer than the 31"):
        predict(shots=11, queries=20, queries_from="train")
    (episode,) = predict(trials=1)
    with pytest.raises(UserError, match="30 items to ask about, fewer than the 31 queries"):
        score_episode(episode, test_labels, 31)
