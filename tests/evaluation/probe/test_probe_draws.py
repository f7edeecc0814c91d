"""Which clouds the encoders of a probe are shown."""

import numpy as np

from helpers.tiny_probes import PROTOCOL, Recorder, changed, noise_encoder, run_probe, spreads


def test_trained_and_untrained_encoders_see_the_very_same_clouds(train, test):
    trained, untrained = Recorder(), Recorder()
    run_probe(trained, lambda seed: untrained, train, test, PROTOCOL)
    assert len(trained.seen) == len(PROTOCOL.seeds) * (1 + len(PROTOCOL.settings))
    for ours, theirs in zip(trained.seen, untrained.seen, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_each_seed_draws_points_turns_and_an_untrained_encoder_anew(train, test):
    recorder, asked = Recorder(), []

    def untrained(seed):
        asked.append(seed)
        return spreads

    run_probe(recorder, untrained, train, test, PROTOCOL)
    assert asked == list(PROTOCOL.seeds)
    per_seed = 1 + len(PROTOCOL.settings)
    for first, second in zip(recorder.seen[:per_seed], recorder.seen[per_seed:], strict=True):
        assert not np.array_equal(first, second)


def test_test_shapes_are_turned_rigidly_about_z_or_any_axis(train, test):
    recorder = Recorder()
    run_probe(recorder, noise_encoder, train, test, changed(seeds=(5,)))
    _, aligned, about_z, about_any = (points.astype(np.float64) for points in recorder.seen)
    np.testing.assert_array_equal(aligned, test.batch(range(len(test)), 24, "probe", 5))
    for turned in (about_z, about_any):
        moved = np.linalg.norm(turned - aligned, axis=2).max(axis=1)
        assert (moved > 1e-3).all()
        assert len(np.unique(moved)) == len(test)
        np.testing.assert_allclose(
            turned @ turned.transpose(0, 2, 1), aligned @ aligned.transpose(0, 2, 1), atol=1e-5
        )
        # Proper rotations: the signed volume of any three points is kept.
        np.testing.assert_allclose(
            np.linalg.det(turned[:, :3]), np.linalg.det(aligned[:, :3]), atol=1e-5
        )
    np.testing.assert_allclose(about_z[..., 2], aligned[..., 2], atol=1e-6)
    assert np.abs(about_any[..., 2] - aligned[..., 2]).max() > 0.1


def test_the_classifier_is_fitted_on_unturned_training_shapes(train, test):
    recorder = Recorder()
    run_probe(recorder, noise_encoder, train, test, changed(seeds=(5,)))
    np.testing.assert_array_equal(recorder.seen[0], train.batch(range(len(train)), 24, "probe", 5))
