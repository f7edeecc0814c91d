"""Protocols as data: what decides a probe's numbers, apart from the features and the labels.

A protocol is a YAML file that this schema checks. Those of the folder ``protocols`` go by their
names; ``ours`` is the default, and the others follow published evaluations or add to ours.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, model_validator

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.embedding.names import Encoded, Setting, Untrained
from pc_crvae.embedding.rotation_average import RotationGroup
from pc_crvae.evaluation.probe.classifier_settings import ClassifierSection, LinearSVM, grid_of
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import ALIGNED, Asked, Metric
from pc_crvae.utils.resources import find_experiment
from pc_crvae.utils.validation import validate
from pc_crvae.utils.yaml import read_yaml

PROTOCOL_FOLDER = Path(__file__).resolve().parent / "protocols"

Pool = Literal["max", "mean", "max_mean"]


AS_THEY_ARE = {
    "settings": (ALIGNED,),
    "representations": ("mean",),
    "near_copies": False,
    "training_free": False,
}
"""What a protocol can ask of items that are no clouds."""


class ProtocolBase(Section):
    """What decides a probe's numbers, but the sections of its metrics."""

    known_metrics: ClassVar[tuple[Metric[Any, Any, Any], ...]] = ()

    name: str = Field("ours", min_length=1)
    """what reports call it"""
    source: str = Field("this project", min_length=1)
    """where it comes from"""
    notes: tuple[str, ...] = ()
    """what the source leaves open, and where a probe here differs from it"""
    points: PositiveInt | None = None
    """drawn of each cloud; null: as many as the model trained with"""
    pool: Pool | None = None
    """over the points, for pooled features; null: as the encoder is built"""
    average_over: RotationGroup | None = None
    """features of every item are means over its copies turned by this group: Cn, n even turns about
    the vertical; T, O, I, the 12, 24, 60 of tetrahedron, cube, icosahedron; null: one pass, as it
    is"""
    representations: Annotated[tuple[Encoded, ...], Field(min_length=1)] = ("mean", "pooled")
    """the posterior's mean, the encoder's pooled features"""
    settings: Annotated[tuple[Setting, ...], Field(min_length=1)] = ("aligned", "z", "so3")
    """how test shapes are turned"""
    standardise: bool = True
    """features, by the training items' statistics"""
    classifier: ClassifierSection = LinearSVM()
    folds: Annotated[int, Field(ge=2)] = 3
    """of the cross-validation on the training items, where there is a choice"""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2)
    """each one draw of points, turns, folds, untrained weights"""
    untrained: Untrained = "calibrated"
    """batch-norm of untrained encoders: calibrated by one pass over the training items, without
    labels, or as initialised"""
    near_copies: bool = True
    """score also without test shapes of which training has a near-copy, as they are, where aligned
    is among the settings"""
    training_free: bool = True
    """beside a model of clouds, a row of the strongest of a few descriptors, chosen by
    cross-validation on the training items"""

    def asked(self, metric: Metric[Asked, Any, Any]) -> Asked:
        """The section of a metric; false where nothing is asked for."""
        asked: Asked = getattr(self, metric.key)
        return asked

    @property
    def metrics(self) -> list[Metric[Any, Any, Any]]:
        """Those that something is asked of, in the order of reports."""
        return [metric for metric in self.known_metrics if self.asked(metric)]

    @property
    def chooses(self) -> bool:
        """Whether a classifier's parameter is chosen by cross-validation."""
        chosen = [self.classifier]
        for metric in self.metrics:
            chosen += metric.chosen(self.asked(metric))
        return any(len(grid_of(classifier)) > 1 for classifier in chosen)

    @model_validator(mode="after")
    def _check(self) -> "ProtocolBase":
        for what in ("seeds", "settings", "representations"):
            values = getattr(self, what)
            if len(set(values)) < len(values):
                raise ValueError(f"{what} should be distinct, not {list(values)}")
        of_aligned = [metric.key for metric in self.metrics if not metric.by_setting]
        if of_aligned and ALIGNED not in self.settings:
            raise ValueError(
                f"settings should include {ALIGNED}, which {' and '.join(of_aligned)} "
                f"{'is' if len(of_aligned) == 1 else 'are'} scored on"
            )
        for metric in self.metrics:
            metric.check(self.asked(metric))
        return self


@lru_cache
def protocol_with(metrics: tuple[Metric[Any, Any, Any], ...]) -> Any:
    """The type of protocols that have a section for each of ``metrics``."""
    sections: dict[str, Any] = {metric.key: (metric.section, metric.default) for metric in metrics}
    made = create_model(
        "ProbeProtocol",
        __base__=ProtocolBase,
        __module__=__name__,
        __doc__="What decides a probe's numbers; the defaults are those of ``ours``.",
        **sections,
    )
    made.known_metrics = metrics
    return made


if TYPE_CHECKING:

    class ProbeProtocol(ProtocolBase):
        """The protocols of the metrics that there are: what `protocol_with` makes."""

else:
    ProbeProtocol = protocol_with(tuple(METRICS))


def load_protocol(name: str | Path) -> ProbeProtocol:
    """Read a protocol: one that comes with the package, by its name, or a file of one's own.

    Raises:
        UserError: there is none, or it strays from the schema.
    """
    path = find_experiment(Path(name), PROTOCOL_FOLDER, "protocol")
    return parse_protocol(read_yaml(path), str(path))


def parse_protocol(values: dict[str, Any], where: str) -> ProbeProtocol:
    """Check plain values against the schema; ``where`` names their source in errors.

    Raises:
        UserError: an unknown key (naming the nearest right one), a wrong type, or a value out
            of range.
    """
    parsed: ProbeProtocol = validate(protocol_with(tuple(METRICS)), values, where)
    return parsed


def changed(protocol: ProbeProtocol, where: str, **changes: Any) -> ProbeProtocol:
    """Return the protocol with some plain values changed, checked anew as `parse_protocol` does."""
    return parse_protocol(protocol.model_dump(mode="json") | changes, where)
