"""What a probe found, in sentences for someone who has never read its table."""

from collections.abc import Iterator, Mapping

from pc_crvae.embedding.names import TRAINING_FREE, Setting
from pc_crvae.evaluation.probe.report import ProbeReport

TURNED: Mapping[Setting, str] = {
    "aligned": "as they are",
    "z": "turned about the vertical",
    "so3": "turned by any rotation",
}
"""The settings in words; of images all are as they are."""


def in_words(report: ProbeReport) -> str:
    """Say what the trained encoder recognises, beside what needs no training, a line a setting.

    Empty where no trained encoder was probed.
    """
    return "\n".join(_sentences(report))


def _sentences(report: ProbeReport) -> Iterator[str]:
    rows = report.rows or report.extra_rows
    accuracies = {(row.features, row.setting): row.accuracy_mean for row in rows}
    if not any(features == "trained" for features, _ in accuracies):
        return
    for setting in report.protocol.settings:
        shares = {
            features: f"{100 * share:.0f} %"
            for (features, of), share in accuracies.items()
            if of == setting
        }
        if "trained" not in shares:
            continue
        beside = [
            f"{shares[features]} {words}"
            for features, words in (
                ("untrained", "without training"),
                (TRAINING_FREE, "by features that need no training"),
            )
            if features in shares
        ]
        yield (
            f"{TURNED[setting].capitalize()}, {shares['trained']} of unseen items are recognised"
            + "".join(f", {each}" for each in beside)
            + "."
        )
    yield (
        "In the table: ± is over probe seeds, and brackets hold the mean over classes. The "
        "posterior mean is the code; pooled features are what the encoder gives before it."
    )
