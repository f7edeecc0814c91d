"""Processor time that a probe of ModelNet40's size takes once its features are made.

    python -m benchmarks.probe --json probe-time.json

The features are planted, so that no data is needed: classes of unequal size with several modes
each, in as many directions as real features have of weight, and noise. They are of a trained and of
an untrained encoder, and of the three descriptors that stand beside them, in their dimensions.
The same is done twice, as for a second model on the same data: then the classifiers of what no
training changes are kept from the first, in a cache of its own.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from pc_crvae.embedding.names import Encode
from pc_crvae.evaluation.metrics.accuracy import accuracy
from pc_crvae.evaluation.probe.kept_fits import fit_once
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.probe.outcomes import predict_items
from pc_crvae.evaluation.probe.protocol import load_protocol
from pc_crvae.evaluation.probe.training_free import choose_training_free

DESCRIPTORS = {"bps": 1024, "octants": 1680, "bps+octants": 2704}
"""Their dimensions."""

_MODES = 3
_DIRECTIONS = 60

Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]


def planted(
    labels: NDArray[np.int64], dimensions: int, seed: int, noise: float = 0.35
) -> NDArray[np.float32]:
    """Features (n, d) of items by their labels; the same centres for the same dimensions."""
    centres_of, rng = np.random.default_rng(dimensions), np.random.default_rng([seed, dimensions])
    classes = int(labels.max()) + 1
    centres = centres_of.normal(size=(classes, _MODES, _DIRECTIONS))
    basis = centres_of.normal(size=(_DIRECTIONS, dimensions)) / np.sqrt(_DIRECTIONS)
    within = centres[labels, rng.integers(_MODES, size=len(labels))]
    latent = within + rng.normal(size=within.shape)
    features: NDArray[np.float32] = np.tanh(latent @ basis).astype(np.float32)
    return features + noise * rng.normal(size=features.shape).astype(np.float32)


def labels_of(count: int, classes: int, seed: int) -> NDArray[np.int64]:
    """Labels (n,) of classes whose sizes differ tenfold, as ModelNet40's do."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(1, 10, classes)
    drawn = rng.choice(classes, size=count, p=sizes / sizes.sum())
    drawn[: 3 * classes] = np.repeat(np.arange(classes), 3)  # as many as there are folds
    return drawn


def rows(
    train: int, test: int, classes: int, seeds: int, dimensions: int
) -> Iterator[tuple[str, float, float, float]]:
    """Yield each row's name, processor seconds, accuracy and parameter under the last seed."""
    protocol = load_protocol("ours")
    fitted_on, scored_on = labels_of(train, classes, 0), labels_of(test, classes, 1)
    for name in ("trained", "untrained"):
        spent = 0.0
        for seed in range(seeds):
            noise = 0.35 if name == "trained" else 0.6
            features = planted(fitted_on, dimensions, 2 * seed, noise)
            others = planted(scored_on, dimensions, 2 * seed + 1, noise)
            started = time.process_time()
            fitted = None
            if name == "untrained":
                task = Task(features, fitted_on, {}, protocol.standardise, protocol.folds, seed)
                fitted = fit_once(task, protocol.classifier)
            outcome = predict_items(
                features, fitted_on, {"aligned": others}, protocol, seed, fitted
            )
            found = outcome(scored_on)
            spent += time.process_time() - started
        yield name, spent, accuracy(scored_on, found.predictions["aligned"]), found.chosen
    clouds = np.zeros((train, 1, 3), dtype=np.float32)  # descriptors are made already

    def descriptor(size: int) -> Encode:
        return lambda _: {"mean": planted(fitted_on, size, 0)}

    started = time.process_time()
    candidates = {kind: descriptor(size) for kind, size in DESCRIPTORS.items()}
    chosen = choose_training_free(candidates, clouds, fitted_on, protocol)
    yield "choice of the descriptor", time.process_time() - started, np.nan, chosen.fitted.chosen
    started = time.process_time()
    size = DESCRIPTORS[chosen.report.chosen]
    others = planted(scored_on, size, 1)
    predicted = chosen.fitted.predict(others)
    for seed in range(1, seeds):
        predicted = chosen.fit(planted(fitted_on, size, 2 * seed), fitted_on, protocol).predict(
            others
        )
    spent = time.process_time() - started
    yield "training-free", spent, accuracy(scored_on, predicted), chosen.fitted.chosen


def main() -> None:
    """Print the table, and write the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=int, default=9843)
    parser.add_argument("--test", type=int, default=2468)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dimensions", type=int, default=512, help="of the encoders' features")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the rows are written to")
    options = parser.parse_args()
    size = options.train, options.test, options.classes, options.seeds, options.dimensions
    print("| probe | row | processor seconds | accuracy | C |")
    print("| --- | --- | ---: | ---: | ---: |")
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ["PC_CRVAE_CACHE"] = cache
        for probe in ("first", "second"):
            total = 0.0
            for name, seconds, right, c in rows(*size):
                row = {"probe": probe, "row": name, "seconds": seconds}
                found.append(row | {"accuracy": right, "c": c})
                print(
                    f"| {probe} | {name} | {seconds:.1f} | {100 * right:.1f} | {c:g} |", flush=True
                )
                total += seconds
            print(f"| {probe} | all | {total:.1f} |  |  |", flush=True)
    if options.json:
        report = {"machine": describe_machine(), "asked": vars(options) | {"json": None}}
        options.json.write_text(json.dumps(report | {"rows": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
