"""What the evaluations of a study's runs of images add up to."""

from collections.abc import Mapping, Sequence

from pc_crvae.errors import UserError
from pc_crvae.evaluation.images.report import ImageReport
from pc_crvae.study.figures import Figure, describe_figures, over_seeds
from pc_crvae.study.plan import PlannedRun
from pc_crvae.study.results import EvaluatedData, FigureDifference, Spread

FIGURES: Mapping[str, Figure[ImageReport]] = {
    "nll": Figure("NLL", "nll.mean"),
    "elbo": Figure("ELBO", "elbo.mean"),
    "rate": Figure("rate", "rate.mean"),
    "distortion": Figure("distortion", "distortion.mean"),
    "mutual_information": Figure("MI", "mutual_information.estimate"),
    "active_units": Figure("active units", "active_units", "", 1),
    "consistency_kl": Figure("consistency KL", "consistency_kl.mean"),
    "linear_svm": Figure("linear SVM", "classifiers.linear_svm.accuracy", "%"),
    "logistic_regression": Figure(
        "logistic regression", "classifiers.logistic_regression.accuracy", "%"
    ),
    "knn": Figure("kNN", "classifiers.knn.accuracy", "%"),
}


def describe_evaluations(reports: Sequence[ImageReport]) -> dict[str, Spread]:
    """Return mean and spread over runs, as `describe_figures` gives them.

    Args:
        reports: the reports of an arm's runs, one a training seed.

    Returns:
        Of mutual information also its bound, and the number of runs whose estimate is saturated.
    """
    found = describe_figures(reports, FIGURES)
    if "mutual_information" in found:
        of_runs = [one for report in reports if (one := report.mutual_information) is not None]
        bound = {
            "log_n": of_runs[0].log_n,
            "saturated": sum(of_run.saturated for of_run in of_runs),
        }
        found["mutual_information"] = found["mutual_information"].model_copy(update=bound)
    return found


def figure_differences(
    pair: tuple[str, str], reports: tuple[Mapping[int, ImageReport], Mapping[int, ImageReport]]
) -> list[FigureDifference]:
    """Tell how the figures of two arms differ, seed by seed.

    Args:
        pair: the arms' names.
        reports: the reports of each, by training seed.

    Raises:
        UserError: they are of different images.
    """
    first, second = reports
    seeds = tuple(seed for seed in first if seed in second)
    rows = []
    for name, figure in FIGURES.items():
        values = [(figure.read(first[seed]), figure.read(second[seed])) for seed in seeds]
        of_seeds = [one - other for one, other in values if one is not None and other is not None]
        if of_seeds and len(of_seeds) == len(seeds):
            between = {"first": pair[0], "second": pair[1], "training_seeds": seeds}
            spread = over_seeds(of_seeds).plain()
            rows.append(FigureDifference(**spread, **between, figure=name))
    if rows and len({_images(side[seed]) for side in reports for seed in seeds}) > 1:
        raise UserError(
            f"the arms {pair[0]} and {pair[1]} were evaluated on different images, so they cannot "
            "be compared: give all arms the same data"
        )
    return rows


def describe_cut(run: PlannedRun, report: ImageReport) -> EvaluatedData:
    """Tell how many images the evaluation of a run is of."""
    protocol, train = report.protocol, report.data["train"]
    held_out, consistency = report.data[protocol.split], report.consistency_kl
    return EvaluatedData(
        name=protocol.data,
        trained_validation_fraction=run.config.data.validation_fraction,
        evaluated=protocol.evaluated_items,
        split=protocol.split,
        of_split=held_out.count,
        classifiers_fitted_on=None
        if report.classifiers is None
        else min(protocol.train_items, train.count),
        train=train.count,
        samples=protocol.samples,
        seed=protocol.seed,
        transform=None if consistency is None else consistency.transform,
        sha256={"train": train.sha256, protocol.split: held_out.sha256},
    )


def _images(report: ImageReport) -> tuple[str | int, ...]:
    protocol, data = report.protocol, report.data
    return (
        data[protocol.split].sha256,
        data["train"].sha256,
        protocol.evaluated_items,
        protocol.seed,
        protocol.samples,
        protocol.train_items,
    )
