"""Training that diverges is told of or stopped, and the last good state stays."""

import math

import pytest
import torch

from helpers.comparing_weights import assert_equal_weights, weights_of
from helpers.tiny_runs import acting_after, read_metrics, tiny_config, tiny_train
from pc_crvae.errors import UserError
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.runs.folder import Run
from pc_crvae.training import validation


@pytest.mark.parametrize(
    ("objectives", "told"),
    [([-12e3, -370e3, -380e3], 1), ([-12e3, -30e3, -11e3], 0), ([2.0, -5.0, 1.0], 0)],
)
def test_an_objective_that_falls_far_below_its_best_is_told_of_once(
    tmp_path, monkeypatch, capsys, objectives, told
):
    following = iter(objectives)
    monkeypatch.setattr(
        validation, "evaluate", lambda *arguments: {"objective": next(following), "kl": 1.0}
    )
    tiny_train(tiny_config(tmp_path, training={"epochs": 3}), tmp_path / "run")
    said = capsys.readouterr().out
    assert said.count("the objective fell to") == told
    assert said.count("the objective fell to -370,000 from -12,000: unless it comes back") == told


def test_a_warm_up_is_no_fall(tmp_path, monkeypatch, capsys):
    following = iter([-12e3, -370e3, -380e3])
    monkeypatch.setattr(
        validation, "evaluate", lambda *arguments: {"objective": next(following), "kl": 1.0}
    )
    config = tiny_config(
        tmp_path, training={"epochs": 3}, objective={"name": "elbo", "warmup_epochs": 9}
    )
    tiny_train(config, tmp_path / "run")
    assert "the objective fell to" not in capsys.readouterr().out


def break_likelihood(monkeypatch, change):
    log_prob = ChamferLikelihood.log_prob
    monkeypatch.setattr(ChamferLikelihood, "log_prob", lambda self, x: change(log_prob(self, x)))


def report_infinite_consistency(monkeypatch):
    forward = ConsistencyRegularized.forward

    def infinite(self, *arguments):
        terms = forward(self, *arguments)
        return terms | {"consistency": terms["consistency"] * math.inf}

    monkeypatch.setattr(ConsistencyRegularized, "forward", infinite)


def infinite_gradient(value):
    return value + (0 * value).sqrt()


@pytest.mark.parametrize(
    ("step", "change", "message"),
    [
        (7, lambda value: value * math.nan, "term log_likelihood became nan at step 8"),
        (7, lambda value: value * math.inf, "term log_likelihood became -inf at step 8"),
        (7, infinite_gradient, "term gradient_norm became nan at step 8"),
        (
            10,
            lambda value: value * math.nan,
            "log_likelihood became nan in validation after step 10",
        ),
    ],
    ids=["NaN", "infinite", "gradient", "validation"],
)
def test_a_term_that_is_not_finite_stops_the_run_and_the_last_good_state_stays(
    tmp_path, monkeypatch, step, change, message
):
    config = tiny_config(tmp_path, training={"epochs": 3})
    folder = tmp_path / "run"
    with (
        acting_after(step, lambda: break_likelihood(monkeypatch, change)),
        pytest.raises(UserError, match=message) as stopped,
    ):
        tiny_train(config, folder)
    assert "the last good state is" in str(stopped.value)
    assert [path.name for path in Run(folder).states()] == ["step-00000005"]
    assert all(torch.isfinite(value).all() for value in weights_of(folder).values())

    monkeypatch.undo()
    tiny_train(config, folder, resume=True)
    tiny_train(config, tmp_path / "whole")
    assert_equal_weights(weights_of(folder), weights_of(tmp_path / "whole"))


def test_a_run_that_diverges_at_once_stops_with_nothing_saved(tmp_path):
    config = tiny_config(tmp_path, training={"learning_rate": 1e30, "warmup_epochs": 0.0})
    with pytest.raises(UserError, match=r"became -?(inf|nan) at step 2.*no state was saved yet"):
        tiny_train(config, tmp_path / "run")
    assert Run(tmp_path / "run").states() == []


def test_an_infinite_consistency_without_weight_goes_on(tmp_path, monkeypatch):
    config = tiny_config(tmp_path, consistency={"weight": 0.0}, logging={"tensorboard": True})
    finite = tiny_train(config, tmp_path / "finite")
    report_infinite_consistency(monkeypatch)
    infinite = tiny_train(config, tmp_path / "infinite")
    assert_equal_weights(finite.state_dict(), infinite.state_dict())
    for ours, theirs in zip(
        read_metrics(tmp_path / "finite"), read_metrics(tmp_path / "infinite"), strict=True
    ):
        assert theirs == ours | {"consistency": None}


def test_a_weighed_consistency_that_is_infinite_stops_the_run(tmp_path, monkeypatch):
    report_infinite_consistency(monkeypatch)
    with pytest.raises(UserError, match="the term consistency became"):
        tiny_train(tiny_config(tmp_path), tmp_path / "run")
