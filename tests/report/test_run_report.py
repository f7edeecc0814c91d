import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.nvae_sizes import TOY
from helpers.probe_reports import report_of
from pc_crvae.config import parse_config
from pc_crvae.config.nvae import NVAEModelConfig
from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.metrics.base import ClassifierRow, Score, summarize
from pc_crvae.evaluation.probe.predictions import Predictions, predictions_path, save_predictions
from pc_crvae.evaluation.reports import TrainAndTest
from pc_crvae.models.exports import write_export
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.report.run import write_run_report
from pc_crvae.report.stored import Subject
from pc_crvae.report.views import look_at
from pc_crvae.training.build import build_model

HOSTILE = '</script><script>alert("1")</script>&<img src=x onerror=alert(2)>$\\foo$'
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


@pytest.fixture
def model():
    return point_model()


def test_a_run_of_shapes_has_every_section_and_loads_nothing(model, tmp_path):
    split = clouds()
    subject = subject_of(model, tmp_path)
    store_probe(tmp_path, split)
    page, problems = write(model, subject, split)
    assert problems == []
    elements = Elements(page)
    assert elements.opened == []
    assert elements.tags.count("circle") == 12
    assert elements.tags.count("canvas") == 1
    assert not re.search(r"https?:|<link|@import", page)
    assert "default-src 'none'" in page
    pictures = [value for name, value in elements.attributes if name == "src"]
    # Inputs, reconstructions, two paths of eight, samples and the one mistake.
    assert len(pictures) == 8 + 8 + 16 + 8 + 1
    assert all(value.startswith("data:image/") for value in pictures)
    for title in ("Robustness", "Generation"):
        assert "make it with" in section(page, title)
    assert "pc-crvae robustness --ckpt" in section(page, "Robustness")
    assert "shape 0" in section(page, "Probe")
    assert "chair, taken for table" in section(page, "Probe")
    assert page.count(" class=wrong>") == 1


def test_the_same_command_writes_the_same_bytes(model, tmp_path):
    split, subject = clouds(count=4), subject_of(model, tmp_path)
    first, _ = write(model, subject, split)
    again, _ = write(model, subject, split)
    assert first == again


def test_hostile_names_stay_texts(model, tmp_path):
    split = clouds(classes=(HOSTILE, "table"))
    object.__setattr__(split, "ids", (HOSTILE, *split.ids[1:]))
    model.data = {"name": HOSTILE}
    subject = subject_of(model, tmp_path / "a <b> & 'c'")
    store_probe(subject.folder, split, wrong=range(12))
    page, problems = write(model, subject, split)
    assert problems == []
    elements = Elements(page)
    assert elements.opened == []
    assert elements.tags.count("script") == 2
    assert not any(name.startswith("on") for name, _ in elements.attributes)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#34;1&#34;)" in section(page, "Probe")
    content = re.findall(r'id="map-content">(.*?)</script>', page, flags=re.DOTALL)
    assert {item["id"] for item in json.loads(content[0])["items"]} == set(split.ids)


def test_without_labels_there_is_a_map_and_no_probe(model, tmp_path):
    page, problems = write(model, subject_of(model, tmp_path), clouds(labelled=False))
    assert problems == []
    assert "<circle" in section(page, "Map of embeddings")
    assert "has no labels" in section(page, "Probe")
    assert '<li data-class="' not in page


def test_a_model_of_images_is_reported_with_its_evaluation(tmp_path):
    config = {
        "data": {"name": "digits"},
        "model": {
            "name": "image_vae",
            "encoder": {"name": "mlp", "widths": [8]},
            "latent_dim": 2,
            "decoder": {"name": "mlp", "widths": [8]},
            "likelihood": {"name": "bernoulli"},
        },
        "consistency": None,
    }
    model = build_model(parse_config(config, "test"), (1, 8, 8)).eval()
    page, problems = write(model, subject_of(model, tmp_path), images())
    assert problems == []
    assert 'id="sprite" hidden' in page
    assert "pc-crvae evaluate" in section(page, "Evaluation")
    assert "<h2>Robustness</h2>" not in page
    assert "RMSE" in section(page, "Reconstructions")


@pytest.mark.slow
def test_a_page_of_large_noise_has_less_than_five_megabytes(tmp_path):
    values = {
        "name": "image_vae",
        "encoder": {"name": "mlp", "widths": [4]},
        "latent_dim": 4,
        "decoder": {"name": "mlp", "widths": [4]},
        "likelihood": {"name": "gaussian"},
    }
    config = parse_config({"data": {"name": "x"}, "model": values, "consistency": None}, "test")
    subject = subject_of(model := build_model(config, (3, 200, 200)).eval(), tmp_path)
    split = images(1000, side=200, channels=3)
    store_probe(tmp_path, split, wrong=range(20))
    page, problems = write(model, subject, split, count=1000)
    assert problems == []
    assert len(page) < 5_000_000


def test_an_nvae_is_interpolated_group_by_group(tmp_path):
    values = {**TOY.model_dump(), "likelihood": {"name": "bernoulli"}}
    model = PretrainedNVAE(NVAEModelConfig.model_validate(values), shape=(1, 8, 8)).eval()
    page, problems = write(model, subject_of(model, tmp_path), images())
    assert problems == []
    assert "spherical, group by group" in section(page, "Interpolation")
    assert "draw 8" in section(page, "Samples of the prior")


def test_an_auto_encoder_of_one_dimension_has_no_samples_and_straight_paths(tmp_path):
    model = point_model(latent_dim=1, objective="autoencoder")
    with torch.no_grad():
        # Codes of either sign: opposite directions, joined by no great circle.
        split = clouds(count=2)
        model.head.mean.bias -= model.embed(np.asarray(split.points)).mean()
    page, problems = write(model, subject_of(model, tmp_path), split)
    assert problems == []
    assert "no prior" in section(page, "Samples of the prior")
    assert ", linear</h3>" in section(page, "Interpolation")


def test_a_collapsed_posterior_and_a_single_item_are_told_rather_than_drawn(tmp_path):
    model = point_model()
    with torch.no_grad():
        model.head.mean.weight.zero_()
    page, _ = write(model, subject_of(model, tmp_path), clouds(count=2))
    assert "collapsed" in section(page, "Map of embeddings")
    page, _ = write(point_model(), subject_of(model, tmp_path), clouds(count=1))
    assert "needs two items" in section(page, "Interpolation")


def test_a_model_that_gives_no_numbers_is_told_once(tmp_path):
    model = point_model()
    with torch.no_grad():
        model.head.mean.bias.fill_(float("nan"))
    page, problems = write(model, subject_of(model, tmp_path), clouds())
    assert len(problems) == 1
    assert "embeddings hold NaN" in problems[0]
    assert "embeddings hold NaN" in section(page, "Reconstructions")
    assert "given under Reconstructions" in section(page, "Map of embeddings")


def test_without_data_the_page_says_how_to_give_it(model, tmp_path):
    problem = UserError("no data here")
    page, problems = write(model, subject_of(model, tmp_path), problem)
    assert problems == ["no data here"]
    assert "--data-root" in section(page, "Reconstructions")
    assert "<svg" not in page


def test_a_report_older_than_the_weights_is_stale(model, tmp_path):
    split, subject = clouds(count=3), subject_of(model, tmp_path)
    report = store_probe(tmp_path, split)
    fresh, _ = write(model, subject, split)
    assert "stale" not in section(fresh, "Probe").lower()
    assert "probe accuracy" in fresh
    weights = (tmp_path / "model.safetensors").stat()
    os.utime(report, ns=(weights.st_mtime_ns - 1, weights.st_mtime_ns - 1))
    stale, problems = write(model, subject, split)
    assert problems == []
    found = section(stale, "Probe")
    assert "Stale: probe.json is older" in found
    assert found.index("<details>") < found.index("75.0")
    assert "probe accuracy" not in stale  # among the numbers at the top
    assert "class=wrong" not in stale
    assert "taken for table</small>" not in stale


def test_a_report_of_another_state_of_the_run_is_told(model, tmp_path):
    split = clouds(count=3)
    subject_of(model, tmp_path)
    write_export(model, tmp_path / "checkpoints" / "best")
    store_probe(tmp_path, split)
    subject = Subject(tmp_path, tmp_path / "checkpoints" / "best", "best")
    page, _ = write(model, subject, UserError("no data here"))
    assert "measures the last state" in section(page, "Probe")
    assert "--which best" in section(page, "Probe")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        "{}",
        '{"rows": 3}',
        "\x00\xff",
        "[" * 100_000,
        '{"rows": [{"features": "trained"}]}',
    ],
)
def test_a_damaged_report_is_named_and_the_page_written(model, tmp_path, text):
    (tmp_path / "robustness.json").write_text(text)
    (tmp_path / "generation.json").write_text(text)
    page, problems = write(model, subject_of(model, tmp_path), UserError("no data here"))
    for name in ("robustness", "generation"):
        assert any(f"{name}.json is damaged" in problem for problem in problems)
        assert "is damaged" in section(page, name.capitalize())


def test_predictions_that_are_missing_or_of_other_items_are_told(model, tmp_path):
    split, subject = clouds(count=3), subject_of(model, tmp_path)
    path = store_probe(tmp_path, split)
    page, _ = write(model, subject, clouds(count=3))  # the same names, other points
    assert "of other items" in section(page, "Probe")
    predictions_path(path).unlink()
    page, problems = write(model, subject, split)
    assert problems == []
    assert "probe-predictions.npz, which is not there" in section(page, "Probe")
    predictions_path(path).write_bytes(b"PK")
    page, problems = write(model, subject, split)
    assert "is not a whole .npz file" in problems[0]
    assert "75.0" in section(page, "Probe")


def test_traversals_that_lie_beside_an_evaluation_are_shown_only_if_they_are_a_picture(tmp_path):
    from pc_crvae.report.measurements import traversals

    Image.new("RGB", (20, 10)).save(tmp_path / "evaluation-traversals.png")
    assert "max-width: 20px" in traversals(tmp_path / "evaluation.json")
    whole = (tmp_path / "evaluation-traversals.png").read_bytes()
    for bytes_of_it in (b"<svg>", whole[:40]):
        (tmp_path / "evaluation-traversals.png").write_bytes(bytes_of_it)
        with pytest.raises(UserError, match="no whole PNG"):
            traversals(tmp_path / "evaluation.json")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_of_the_page_shows_the_item_under_the_pointer(model, tmp_path):
    split, subject = clouds(), subject_of(model, tmp_path)
    store_probe(tmp_path, split)
    write(model, subject, split)
    driver = Path(__file__).parents[1] / "helpers" / "page_driver.js"
    done = subprocess.run(
        ["node", str(driver), str(tmp_path / "report.html")],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["name"] == f"{told['item']['class']} \u00b7 {told['item']['id']}" + (
        f" \u00b7 taken for {told['item']['guess']}" if "guess" in told["item"] else ""
    )
    assert told["chosen"] == [told["pointedAt"]]
    assert told["balls"] == 40  # each in three discs
    assert told["places"] == told["otherPlaces"]
    assert told["dimmed"] == told["ofOtherClasses"] == 8


@pytest.mark.parametrize(("embedding", "dimensions"), [("mean", 4), ("pooled", 8)])
def test_the_map_is_of_what_the_model_embeds_and_paths_are_of_latents(embedding, dimensions):
    model = point_model(embedding=embedding)
    views = look_at(model, clouds(), count=12, seed=0)
    inputs = torch.from_numpy(views.inputs)
    assert views.codes.shape == (12, dimensions)
    np.testing.assert_array_equal(views.codes, model.vectors(inputs).numpy())
    path = views.paths[0]
    ends = model.encode(inputs[[views.shown[place] for place in path.ends]])
    np.testing.assert_allclose(path.steps[[0, -1]], model.decode(ends).numpy(), atol=1e-5)
