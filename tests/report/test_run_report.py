"""The page of a run: its sections, and what it says where something is missing."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.nvae_sizes import TOY
from helpers.run_pages import (
    Elements,
    clouds,
    images,
    point_model,
    section,
    store_probe,
    subject_of,
    write,
)
from pc_crvae.config import parse_config
from pc_crvae.config.nvae import NVAEModelConfig
from pc_crvae.errors import UserError
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.report.views import look_at
from pc_crvae.training.build import build_model

HOSTILE = '</script><script>alert("1")</script>&<img src=x onerror=alert(2)>$\\foo$'


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
