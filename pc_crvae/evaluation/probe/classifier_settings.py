"""The classifiers that a protocol may ask for: their names, and the values to choose among."""

from typing import Annotated, Literal

from pydantic import Field

from pc_crvae.config.sections import PositiveInt, Section

DEFAULT_C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)

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
ClassifierSection = Annotated[Classifier, Field(discriminator="name")]
"""A classifier in a file, told apart by its name."""

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


def with_value(classifier: Classifier, value: float) -> Classifier:
    """The classifier with one value, so that nothing is left to choose."""
    return classifier.model_copy(update={parameter_of(classifier): (value,)})


def check_one_value(classifier: Classifier, where: str) -> None:
    """Refuse a classifier whose parameter would have to be chosen.

    Raises:
        ValueError: it is one; ``where`` names its section.
    """
    if len(grid_of(classifier)) > 1:
        raise ValueError(
            f"{where}.classifier should have one {parameter_of(classifier)}: so few labels leave "
            "no folds to choose another in"
        )
