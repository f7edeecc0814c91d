"""A study as a YAML file: which arms, which seeds, how they are probed and compared."""

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.utils.resources import find_experiment, resource_folder
from pc_crvae.utils.validation import validate
from pc_crvae.utils.yaml import read_yaml

Measure = Literal["robustness", "generation"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
_ArmName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
_SomeArms = Annotated[tuple[_ArmName, ...], Field(min_length=1)] | None
_Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Arm(Section):
    """One way of doing it."""

    about: str = ""
    """what it is, in the words of tables"""
    config: str | None = None
    """a config; null: the study's"""
    overrides: tuple[str, ...] = ()
    """section.key=value, as for train; they follow the study's"""
    untrained_of: str | None = None
    """instead of a run: the untrained encoders that the probe of that arm scores"""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if self.untrained_of is not None and (self.config is not None or self.overrides):
            raise ValueError(
                "an arm with untrained_of is read from that arm's probe: it takes no config and "
                "no overrides"
            )
        return self


class ProbeOfStudy(Section):
    """How every run is probed."""

    split: Literal["test", "validation"] = "test"
    """scored on; validation: the part of train that was not trained on"""
    protocol: str = "ours"
    """name or file, as for probe"""
    seeds: PositiveInt | None = None
    """probe seeds; null: the protocol's"""
    data: str | None = None
    """name or path of the card of the set that all runs are probed on; null: each run's own, which
    a mixture has not"""
    data_root: str | None = None
    """its folder; null: where it is looked for"""
    cross_validate: bool = False
    """score each run by repeated folds of the training split too, beside the training-free row:
    what arms are chosen by"""

    @model_validator(mode="after")
    def _names_what_is_tested(self) -> Self:
        if self.data is not None and self.split == "validation":
            raise ValueError(
                "data is a set whose test split is scored on, and split is validation, which is "
                "each run's own: leave one of them out"
            )
        if self.data_root is not None and self.data is None:
            raise ValueError("data_root is the folder of data, which is not given: name the set")
        if self.cross_validate and self.split == "validation":
            raise ValueError(
                "cross_validate takes folds of the whole training split, and split is validation, "
                "a part of it: leave one of them out"
            )
        return self


class EvaluationOfStudy(Section):
    """How every run of images is evaluated, by the command ``evaluate``."""

    split: Literal["test", "validation"] = "test"
    """evaluated on; validation: the part of train that was not trained on"""
    samples: PositiveInt = 500
    """S, latents an image, of the NLL"""
    items: Annotated[int, Field(ge=2)] | None = None
    """images that likelihood and information are of; null: all"""
    train_items: Annotated[int, Field(ge=2)] = 10_000
    """at most so many training images fit the classifiers"""


class RobustnessOfStudy(Section):
    """How runs are measured by the command ``robustness``."""

    arms: _SomeArms = None
    """which; null: all trained ones"""
    points: PositiveInt = 1024
    """drawn of each shape; the corruptions' recipes are for 1,024"""
    seeds: PositiveInt = 3
    """draws of points, turns and corruptions"""


class GenerationOfStudy(Section):
    """How runs are measured by the command ``generation``."""

    arms: _SomeArms = None
    """which; null: all trained ones"""
    count: Annotated[int, Field(ge=2)] = 100
    """samples, and test shapes that they are held against"""


class MeasuresOfStudy(Section):
    """Further commands that measure runs on the test split, beside ``probe``."""

    robustness: RobustnessOfStudy | None = None
    generation: GenerationOfStudy | None = None

    def asked_of(self, arm: str) -> list[Measure]:
        """Which of them the runs of an arm are put to."""
        found: list[Measure] = []
        for measure in MEASURES:
            asked = getattr(self, measure)
            if asked is not None and (asked.arms is None or arm in asked.arms):
                found.append(measure)
        return found


class Study(Section):
    """Arms times seeds."""

    title: str = Field(min_length=1)
    """heads the report"""
    question: str = ""
    """what it is to answer, in the report"""
    config: str
    """what the arms change: a config file, or one of the package"""
    overrides: tuple[str, ...] = ()
    """section.key=value, for all arms"""
    seeds: Annotated[tuple[_Seed, ...], Field(min_length=1)] = (0, 1, 2)
    """of training; every arm is run with each"""
    probe: ProbeOfStudy | None = ProbeOfStudy()
    evaluation: EvaluationOfStudy | None = None
    measures: MeasuresOfStudy = MeasuresOfStudy()
    equal_passes: bool = False
    """refuse arms whose encoders see another number of shapes"""
    arms: Annotated[dict[_ArmName, Arm], Field(min_length=1)]
    compare: tuple[tuple[str, str], ...] = ()
    """pairs of arms whose difference is reported, the first less the second"""

    @property
    def split(self) -> Literal["test", "validation"]:
        """What every number is of."""
        return next(by.split for by in (self.probe, self.evaluation) if by is not None)

    @model_validator(mode="after")
    def _is_scored(self) -> Self:
        if self.probe is None and self.evaluation is None:
            raise ValueError("probe: null leaves nothing to compare by: ask for an evaluation")
        if self.probe and self.evaluation and self.probe.split != self.evaluation.split:
            raise ValueError("probe.split and evaluation.split should be the same split")
        if self.split == "validation" and any(getattr(self.measures, m) for m in MEASURES):
            raise ValueError(
                "measures take the test split, and the study takes the validation split: leave "
                "them out"
            )
        return self

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: each should be given once")
        for name, arm in self.arms.items():
            if arm.untrained_of is not None:
                if self.probe is None:
                    raise ValueError(
                        f"arms.{name}.untrained_of: only a probe scores untrained encoders, and "
                        "there is none"
                    )
                self._check_name(arm.untrained_of, f"arms.{name}.untrained_of")
                if self.arms[arm.untrained_of].untrained_of is not None:
                    raise ValueError(
                        f"arms.{name}.untrained_of: {arm.untrained_of} is not trained either"
                    )
        for measure in MEASURES:
            asked = getattr(self.measures, measure)
            for name in (asked and asked.arms) or ():
                self._check_name(name, f"measures.{measure}.arms")
                if self.arms[name].untrained_of is not None:
                    raise ValueError(f"measures.{measure}.arms: {name} has no runs of its own")
        for pair in self.compare:
            for name in pair:
                self._check_name(name, "compare")
            if pair[0] == pair[1]:
                raise ValueError(f"compare: {pair[0]} is compared with itself")
        return self

    def _check_name(self, name: str, where: str) -> None:
        if name not in self.arms:
            near = difflib.get_close_matches(name, self.arms, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.arms)}"
            raise ValueError(f"{where}: the study has no arm {name}, {hint}")


def find_study(path: Path) -> Path:
    """Return the file that ``path`` means: itself, or a study that comes with the package.

    Raises:
        UserError: there is neither, naming those that there are.
    """
    return find_experiment(path, resource_folder("configs") / "studies", "study")


def load_study(path: Path) -> Study:
    """Read a study and check it against the schema.

    Raises:
        UserError: it cannot be read, or strays from the schema.
    """
    return validate(Study, read_yaml(path), str(path))
