"""The page of a run that never trained, and what lies beside it."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import torch

from helpers.probe_reports import report_of
from pc_crvae.config import parse_config
from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.data.images import ImageSet
from pc_crvae.evaluation.probe.metrics.base import ClassifierRow, Score, summarize
from pc_crvae.evaluation.probe.predictions import Predictions, predictions_path, save_predictions
from pc_crvae.evaluation.reports import TrainAndTest
from pc_crvae.models.exports import write_export
from pc_crvae.report.run import write_run_report
from pc_crvae.report.stored import Subject
from pc_crvae.training.build import build_model

RNG = np.random.default_rng(0)


def clouds(count=12, classes=("chair", "table", "lamp"), labelled=True):
    points = normalize(RNG.normal(size=(count, 40, 3)))
    labels = np.arange(count) % len(classes) if labelled else None
    ids = tuple(f"shape {place}" for place in range(count))
    return CloudSet(
        name="tiny",
        split="test",
        points=points,
        labels=None if labels is None else labels.astype(np.int64),
        classes=tuple(classes) if labelled else (),
        ids=ids,
    )


def images(count=6, side=8, channels=1):
    pixels = RNG.integers(0, 256, size=(count, channels, side, side)).astype(np.uint8)
    ids = tuple(f"image {place}" for place in range(count))
    labels = np.arange(count) % 2
    return ImageSet(
        name="tiny", split="test", images=pixels, labels=labels, classes=("a", "b"), ids=ids
    )


def point_model(latent_dim=4, objective="elbo", embedding="mean"):
    config = {
        "data": {"points": 32},
        "model": {
            "encoder": {"name": "pointnet", "widths": [8]},
            "latent_dim": latent_dim,
            "embedding": embedding,
            "decoder": {"name": "fully_connected", "points": 16, "widths": [8]},
        },
        "objective": {"name": objective},
        "consistency": None,
    }
    torch.manual_seed(0)
    return build_model(parse_config(config, "test")).eval()


def subject_of(model, folder, which="last"):
    write_export(model, folder)
    return Subject(folder, folder, which)


def write(model, subject, split, path=None, **options):
    """The page as text, and what it said could not be shown."""
    path = path or subject.folder / "report.html"
    problems = write_run_report(model, subject, split, path, **options)
    return path.read_text(encoding="utf-8"), problems


def section(page, title):
    (found,) = re.findall(rf"<h2>{title}</h2>(.*?)</section>", page, flags=re.DOTALL)
    return found


def probe_report(split, matrix=None):
    """What ``probe`` writes of two encoders."""
    matrix = np.eye(len(split.classes), dtype=int).tolist() if matrix is None else matrix
    predictions = Predictions(split.labels, {}, np.arange(2), "")
    scores = summarize([Score(0.75, 0.75)] * 2)
    rows = [
        ClassifierRow(
            features=features,
            setting="aligned",
            representation="posterior_mean",
            classifier="linear_svm",
            **scores,
        )
        for features in ("trained", "untrained")
    ]
    return report_of(predictions, settings=("aligned",), seeds=(0, 1)).plain() | {
        "rows": [row.plain() for row in rows],
        "confusion": {"classes": list(split.classes), "matrix": matrix},
        "data": TrainAndTest.of(split, split).plain(),
        "checkpoint": {"path": "anywhere", "which": "last"},
    }


def store_probe(folder, split, wrong=(0,), **changes):
    """A report and predictions in which the items ``wrong`` are taken for the next class."""
    path = folder / "probe.json"
    path.write_text(json.dumps(probe_report(split) | changes))
    answers = split.labels.copy()
    answers[list(wrong)] = (answers[list(wrong)] + 1) % len(split.classes)
    rows = {"trained.posterior_mean.aligned": np.stack([answers, answers])}
    seeds = np.arange(2)
    found = Predictions(split.labels, rows, seeds, split.fingerprint())
    save_predictions(found, predictions_path(path))
    return path


class Elements(HTMLParser):
    """The tags of a page, and whether each that was opened is closed in its order."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self, page):
        super().__init__()
        self.opened, self.tags, self.attributes = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag
