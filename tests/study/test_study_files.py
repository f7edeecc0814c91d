"""What a study's file says, and what is refused of it before anything starts."""

from pathlib import Path

import pytest
import yaml

from pc_crvae.errors import UserError
from pc_crvae.study.plan import plan_runs
from pc_crvae.study.schema import find_study, load_study
from pc_crvae.utils.resources import resource_folder

SHIPPED = sorted((resource_folder("configs") / "studies").glob("*.yaml"))


def values(**changes):
    plain = {
        "title": "a study",
        "config": "quickstart.yaml",
        "seeds": [0, 1],
        "arms": {
            "plain": {"overrides": ["consistency=null", "training.epochs=24"]},
            "cr": {},
            "fresh": {"untrained_of": "cr"},
        },
        "compare": [["cr", "plain"]],
    }
    return plain | changes


def planned(folder, **changes):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values(**changes), sort_keys=False))
    return plan_runs(load_study(path), path, folder / "out")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_studies_that_come_with_the_package_can_be_planned(path):
    study = load_study(path)
    assert plan_runs(study, path, Path("out"))
    assert study.equal_passes


@pytest.mark.parametrize("name", ["lambda-sweep", "lambda-images"])
def test_sweeps_never_read_the_test_split(name):
    assert load_study(find_study(Path(name))).split == "validation"


def test_every_trained_arm_is_run_with_every_seed_and_the_first_seed_first(tmp_path):
    runs = planned(tmp_path)
    assert [run.name for run in runs] == ["plain-seed0", "cr-seed0", "plain-seed1", "cr-seed1"]
    assert [run.config.seed for run in runs] == [0, 0, 1, 1]
    assert runs[0].config.consistency is None
    assert [run.passes for run in runs[:2]] == [24, 24]


def test_overrides_of_an_arm_follow_those_of_the_study(tmp_path):
    runs = planned(tmp_path, overrides=["training.epochs=3"])
    assert [run.config.training.epochs for run in runs[:2]] == [24, 3]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arm": {}}, "arm is not a known key, did you mean arms?"),
        ({"seeds": [0, 0]}, "each should be given once"),
        ({"seeds": []}, "seeds"),
        ({"arms": {}}, "arms"),
        ({"arms": {"a/b": {}}, "compare": []}, "a/b"),
        ({"compare": [["cr", "plane"]]}, "the study has no arm plane, did you mean plain?"),
        ({"probe": None}, "leaves nothing to compare by"),
        ({"probe": None, "evaluation": {}}, "only a probe scores untrained encoders"),
        ({"evaluation": {"split": "validation"}}, "should be the same split"),
        ({"evaluation": {"items": 1}}, "evaluation.items"),
        ({"compare": [["cr", "cr"]]}, "cr is compared with itself"),
        (
            {"measures": {"generation": {"arms": ["plane"]}}},
            "measures.generation.arms: the study has no arm plane, did you mean plain?",
        ),
        (
            {"measures": {"robustness": {"arms": ["fresh"]}}},
            "measures.robustness.arms: fresh has no runs of its own",
        ),
        (
            {"probe": {"split": "validation"}, "measures": {"generation": {}}},
            "measures take the test split, and the study takes the validation split",
        ),
        ({"measures": {"robustness": {"arms": []}}}, "measures.robustness.arms"),
        ({"config": "quikstart.yaml"}, "did you mean quickstart.yaml?"),
        ({"overrides": ["training.epoch=3"]}, "did you mean epochs?"),
        ({"overrides": ["seed=3"]}, "sets seed, which seeds of the study do"),
        (
            {"arms": {"a": {}, "b": {"overrides": ["logging.every_steps=3"]}}, "compare": []},
            "the arms a and b have equal configs",
        ),
        (
            {"arms": {"a": {}, "b": {"overrides": ["consistency=null"]}}, "compare": []}
            | {"equal_passes": True},
            "unequally often (a 24, b 12)",
        ),
        (
            {"arms": {"a": {"untrained_of": "b"}}, "compare": []},
            "the study has no arm b",
        ),
        (
            {"arms": {"a": {}, "b": {"untrained_of": "a", "overrides": ["seed=1"]}}},
            "is read from that arm's probe",
        ),
        ({"probe": {"split": "train"}}, "probe.split"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(UserError) as refused:
        planned(tmp_path, **changes)
    assert sentence in str(refused.value)
    assert "study.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_passes_count_every_frame_of_a_cloud(tmp_path):
    arms = {"plain": {}, "framed": {"overrides": ["model.frames=so3"]}}
    runs = planned(tmp_path, arms=arms, compare=[])
    assert runs[1].passes == 4 * runs[0].passes
    with pytest.raises(UserError, match="equal_passes is asked for"):
        planned(tmp_path, arms=arms, compare=[], equal_passes=True)


def test_a_missing_study_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"did you mean lambda-sweep\.yaml\?"):
        find_study(Path("lambda-swep"))
