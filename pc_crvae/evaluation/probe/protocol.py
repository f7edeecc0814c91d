"""Protocols as data: what decides a probe's numbers, apart from the features and the labels.

A protocol is a YAML file that this schema checks. Those of the folder ``protocols`` go by their
names; ``ours`` is the default, and the others follow published evaluations or add to ours.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.embedding.rotation_average import RotationGroup
from pc_crvae.errors import UserError
from pc_crvae.utils.validation import validate_plain
from pc_crvae.utils.yaml import read_yaml

DEFAULT_C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
PROTOCOL_FOLDER = Path(__file__).resolve().parent / "protocols"

Setting = Literal["aligned", "z", "so3"]
Representation = Literal["mean", "pooled"]
Pool = Literal["max", "mean", "max_mean"]

_Positive = Annotated[float, Field(gt=0)]
_Penalties = Annotated[tuple[_Positive, ...], Field(min_length=1)]


class LinearSVM(Section):
    """One-vs-rest, squared hinge, by this project's solver, run to convergence."""

    name: Literal["linear_svm"] = "linear_svm"
    c: _Penalties = Field(DEFAULT_C_GRID, description="penalties C to choose from")


class LinearSVC(Section):
    """One-vs-rest, squared hinge: scikit-learn's LinearSVC (liblinear) with its defaults."""

    name: Literal["linear_svc"]
    c: _Penalties = Field((1.0,), description="penalties C to choose from")


class KernelSVC(Section):
    """One-vs-one, hinge: scikit-learn's SVC (libsvm) with a linear kernel."""

    name: Literal["svc_linear"]
    c: _Penalties = Field((1.0,), description="penalties C to choose from")


class LogisticRegression(Section):
    """Multinomial logistic regression with an L2 penalty, by scikit-learn."""

    name: Literal["logistic_regression"]
    c: _Penalties = Field(DEFAULT_C_GRID, description="inverse strengths C to choose from")


class NearestNeighbors(Section):
    """The majority among the k nearest training items, Euclidean, by scikit-learn."""

    name: Literal["knn"]
    k: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = Field(
        (1, 5, 20), description="numbers of neighbours to choose from"
    )


class Ridge(Section):
    """One-vs-rest least squares with an L2 penalty, by scikit-learn."""

    name: Literal["ridge"]
    alpha: _Penalties = Field(
        (1.0, 10.0, 100.0, 1e3, 1e4), description="strengths of the penalty to choose from"
    )


Classifier = LinearSVM | LinearSVC | KernelSVC | LogisticRegression | NearestNeighbors | Ridge
_Classifier = Annotated[Classifier, Field(discriminator="name")]

CLASSIFIERS = {
    "linear_svm": "linear SVM, one-vs-rest, squared hinge, L2, intercept regularised",
    "linear_svc": "linear SVM, one-vs-rest, squared hinge (scikit-learn's LinearSVC)",
    "svc_linear": "linear SVM, one-vs-one, hinge (scikit-learn's SVC, linear kernel)",
    "logistic_regression": "multinomial logistic regression, L2",
    "knn": "majority of the k nearest training items, Euclidean",
    "ridge": "least squares on one-vs-rest targets, L2",
}


def parameter_of(classifier: Classifier) -> Literal["c", "k", "alpha"]:
    """Name what is chosen for a classifier by cross-validation."""
    if isinstance(classifier, NearestNeighbors):
        return "k"
    return "alpha" if isinstance(classifier, Ridge) else "c"


def grid_of(classifier: Classifier) -> tuple[float, ...]:
    """Its values to choose from, the smoothest classifier first: where several tie it is taken."""
    grid: tuple[float, ...] = getattr(classifier, parameter_of(classifier))
    return tuple(sorted(set(grid), reverse=parameter_of(classifier) != "c"))


class LowLabel(Section):
    """Classifiers fitted on a share of the training labels, the same share of each class."""

    fractions: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (
        Field((0.01, 0.05, 0.1, 1.0), description="shares; at least one item of each class")
    )
    draws: PositiveInt = Field(5, description="draws of each share, but one of the whole")
    classifier: _Classifier = Field(
        LinearSVM(c=(1e-2,)), description="one value of its parameter: few labels leave no folds"
    )


class FewShot(Section):
    """Episodes of a few classes, told apart after a few labelled items of each."""

    ways: Annotated[int, Field(ge=2)] = Field(5, description="classes of an episode")
    shots: PositiveInt = Field(10, description="labelled items of each class")
    queries: PositiveInt = Field(20, description="items of each class to classify")
    trials: PositiveInt = Field(10, description="episodes")
    queries_from: Literal["test", "train"] = Field(
        "test", description="split of the queries; in train they are others than the labelled"
    )
    classifier: _Classifier = Field(
        LinearSVM(c=(1e-2,)), description="one value of its parameter: few shots leave no folds"
    )


class Clustering(Section):
    """k-means of the test items, k the number of classes, scored by NMI and ARI."""

    restarts: PositiveInt = Field(10, description="starts, of which the tightest counts")


class ProbeProtocol(Section):
    """What decides a probe's numbers; the defaults are those of ``ours``."""

    name: str = Field("ours", min_length=1, description="what reports call it")
    source: str = Field("this project", min_length=1, description="where it comes from")
    notes: tuple[str, ...] = Field(
        (), description="what the source leaves open, and where a probe here differs from it"
    )
    points: PositiveInt | None = Field(
        None, description="drawn of each cloud; null: as many as the model trained with"
    )
    pool: Pool | None = Field(
        None, description="over the points, for pooled features; null: as the encoder is built"
    )
    average_over: RotationGroup | None = Field(
        None,
        description="features of every item are means over its copies turned by this group: Cn, "
        "n even turns about the vertical; T, O, I, the 12, 24, 60 of tetrahedron, cube, "
        "icosahedron; null: one pass, as it is",
    )
    representations: Annotated[tuple[Representation, ...], Field(min_length=1)] = Field(
        ("mean", "pooled"), description="the posterior's mean, the encoder's pooled features"
    )
    settings: Annotated[tuple[Setting, ...], Field(min_length=1)] = Field(
        ("aligned", "z", "so3"), description="how test shapes are turned"
    )
    standardise: bool = Field(True, description="features, by the training items' statistics")
    classifier: _Classifier = LinearSVM()
    folds: Annotated[int, Field(ge=2)] = Field(
        3, description="of the cross-validation on the training items, where there is a choice"
    )
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = Field(
        (0, 1, 2), description="each one draw of points, turns, folds, untrained weights"
    )
    retrieval: bool = Field(True, description="score it beside the classifier")
    other_classifiers: tuple[_Classifier, ...] = Field(
        (), description="fitted beside, scored on unturned test items"
    )
    low_label: LowLabel | None = None
    few_shot: tuple[FewShot, ...] = ()
    clustering: Clustering | None = None

    @property
    def has_extras(self) -> bool:
        """Whether anything is asked for beside the classifier and retrieval."""
        return bool(self.other_classifiers or self.few_shot or self.low_label or self.clustering)

    @property
    def chooses(self) -> bool:
        """Whether a classifier's parameter is chosen by cross-validation."""
        chosen = (self.classifier, *self.other_classifiers)
        return any(len(grid_of(classifier)) > 1 for classifier in chosen)

    @model_validator(mode="after")
    def _check(self) -> "ProbeProtocol":
        for what in ("seeds", "settings", "representations"):
            values = getattr(self, what)
            if len(set(values)) < len(values):
                raise ValueError(f"{what} should be distinct, not {list(values)}")
        if self.has_extras and "aligned" not in self.settings:
            raise ValueError(
                "settings should include aligned, which the other classifiers, few labels, few "
                "shots and clusters are scored on"
            )
        names = [classifier.name for classifier in self.other_classifiers]
        if len(set(names)) < len(names):
            raise ValueError(f"other_classifiers should be distinct, not {names}")
        few = [("few_shot", episodes.classifier) for episodes in self.few_shot]
        if self.low_label is not None:
            few.append(("low_label", self.low_label.classifier))
        for where, classifier in few:
            if len(grid_of(classifier)) > 1:
                raise ValueError(
                    f"{where}.classifier should have one {parameter_of(classifier)}: so few "
                    "labels leave no folds to choose another in"
                )
        return self


def protocol_names() -> list[str]:
    """The names of the protocols that come with the package."""
    return sorted(path.stem for path in PROTOCOL_FOLDER.glob("*.yaml"))


def load_protocol(name: str | Path) -> ProbeProtocol:
    """Read a protocol: one that comes with the package, by its name, or a file of one's own.

    Raises:
        UserError: there is none, or it strays from the schema.
    """
    path = PROTOCOL_FOLDER / f"{name}.yaml"
    if str(name) not in protocol_names():
        path = Path(name)
        if not path.is_file():
            near = difflib.get_close_matches(str(name), protocol_names(), n=1)
            known = f"did you mean {near[0]}?" if near else f"known: {', '.join(protocol_names())}"
            raise UserError(f"there is no protocol {name}: give a file, or a name, {known}")
    return parse_protocol(read_yaml(path), str(path))


def parse_protocol(values: dict[str, Any], where: str) -> ProbeProtocol:
    """Check plain values against the schema; ``where`` names their source in errors.

    Raises:
        UserError: an unknown key (naming the nearest right one), a wrong type, or a value out
            of range.
    """
    return validate_plain(ProbeProtocol, values, where)


def changed(protocol: ProbeProtocol, where: str, **changes: Any) -> ProbeProtocol:
    """Return the protocol with some plain values changed, checked anew as `parse_protocol` does."""
    return parse_protocol(protocol.model_dump(mode="json") | changes, where)
