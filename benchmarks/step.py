"""Whole training steps: encode, decode, Chamfer, backward, AdamW."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.clouds import spread_pair
from benchmarks.floor import (
    decoder_products,
    floor_ms,
    gflop_by_part,
    step_products,
)
from benchmarks.memory import added_memory
from benchmarks.report import Row, say
from benchmarks.textbook import models as textbook
from benchmarks.timing import Action, Effort, alternate, synchronized
from pc_crvae.config import (
    Config,
    ConsistencyConfig,
    PointModelConfig,
    SubsampleConfig,
    parse_config,
)
from pc_crvae.objectives.base import TrainingObjective
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.training.build import build_model, build_optimizer, build_training_objective
from pc_crvae.utils.memory import keep_freed_memory


@dataclass(frozen=True)
class Step:
    """A model and its batch.

    Attributes:
        points: points a cloud.
        encoder: the section ``model.encoder`` of a config.
        textbook: makes the textbook's encoder of the same sizes.
    """

    points: int
    encoder: dict[str, Any]
    textbook: Callable[[], textbook.PointNet | textbook.DGCNN | textbook.FoldingNetEncoder]


STEPS: dict[str, Step] = {
    "FoldingNet": Step(2048, {"name": "foldingnet"}, textbook.FoldingNetEncoder),
    "DGCNN": Step(1024, {"name": "dgcnn"}, textbook.DGCNN),
    "PointNet": Step(2048, {"name": "pointnet"}, textbook.PointNet),
}
_MOVES_ONLY = tuple(
    transform for transform in ConsistencyConfig().transforms if transform.name != "subsample"
)
_CONSISTENCY: dict[str, ConsistencyConfig] = {
    "": ConsistencyConfig(),
    ", all points kept": ConsistencyConfig(transforms=_MOVES_ONLY),
}


_MEMORY_KEPT = ", freed memory kept"


_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Setting:
    """Sizes of all steps, and the device that takes them."""

    batch: int
    decoder_points: int
    width: int
    latent: int
    divide_points: int
    device: torch.device = _CPU


FULL = Setting(batch=8, decoder_points=2025, width=512, latent=512, divide_points=1)
QUICK = Setting(batch=2, decoder_points=36, width=16, latent=16, divide_points=16)
_BATCH_OF_CARDS = 32


def run(*, quick: bool, device: torch.device = _CPU) -> Iterator[Row]:
    """Measure every step in both precisions, then the CR steps."""
    setting = replace(QUICK if quick else FULL, device=device)
    if device.type != "cpu" and not quick:
        setting = replace(setting, batch=_BATCH_OF_CARDS)
    effort = Effort(0, 1, 1) if quick else Effort(8.0, 4, 8)
    for name in STEPS:
        yield from _against_the_textbook(name, setting, effort, quick)
    if not quick and device.type == "cpu":
        keep_freed_memory()  # from here on, as the training loop does
        for name in STEPS:
            yield from _against_the_textbook(name, setting, effort, quick, _MEMORY_KEPT)
    for name in STEPS:
        yield from _against_the_plain_vae(name, setting, effort)


def actions(name: str, *, quick: bool) -> dict[str, Action]:
    """Steps of one model: ours in both precisions, the textbook's, and ours on larger clouds."""
    setting = QUICK if quick else FULL
    points = _points(name, setting)
    steps = _steps(name, setting, points)
    twice = _steps(name, setting, 2 * points)
    return {**steps, "float32, twice the points": twice["float32"]}


def _against_the_textbook(
    name: str, setting: Setting, effort: Effort, quick: bool, suffix: str = ""
) -> Iterator[Row]:
    points = _points(name, setting)
    config = _config(name, setting, points, consistency=None)
    contenders = _steps(name, setting, points)
    gflop = {}
    for label, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        contenders[f"{label} products"], gflop[label] = decoder_products(
            _architecture(config), setting.batch, dtype, setting.device
        )
    times = _alternate(contenders, setting, effort)
    speeds = {label: 1000 * gflop[label] / times[f"{label} products"] for label in gflop}
    products = step_products(_architecture(config), setting.batch, points)
    memory = {}
    if setting.device.type == "cpu" and not suffix and (not quick or name == "PointNet"):
        memory = added_memory("step", name, quick=quick)
    for label in ("float32", "bfloat16"):
        by_points = None
        if memory and label == "float32":
            larger = memory["float32, twice the points"]
            by_points = {str(points): memory[label], str(2 * points): larger}
        row = Row(
            "step",
            name + suffix,
            label,
            times[label],
            times["reference"],
            "the textbook form in float32",
            _inputs(points, setting),
            setting.batch,
            points,
            ours_added_mb=memory.get(label),
            reference_added_mb=memory.get("reference"),
            floor_ms=floor_ms(products, speeds["float32"], speeds[label]),
            gflop=gflop_by_part(products),
            added_mb_by_points=by_points,
        )
        say(
            f"step: {row.name} in {label}, {row.ours_ms:.0f} ms, {row.ratio:.2f} times as fast as "
            f"the textbook form; floor {row.floor_ms:.0f} ms at {speeds[label]:.0f} GFLOP/s"
        )
        yield row


def _against_the_plain_vae(name: str, setting: Setting, effort: Effort) -> Iterator[Row]:
    points = _points(name, setting)
    clouds = _clouds(setting, points)
    vae = _config(name, setting, points, consistency=None, objective="elbo")
    contenders = {"VAE": _step_of_ours(vae, clouds)}
    for suffix, consistency in _CONSISTENCY.items():
        config = _config(name, setting, points, consistency=consistency, objective="elbo")
        contenders[suffix] = _step_of_ours(config, clouds)
    contenders["products"], gflop = decoder_products(
        _architecture(vae), setting.batch, torch.float32, setting.device
    )
    times = _alternate(contenders, setting, effort)
    speed = 1000 * gflop / times["products"]
    for suffix, consistency in _CONSISTENCY.items():
        sizes = (points, round(_mean_share_kept(consistency) * points))
        products = [
            product
            for size in sizes
            for product in step_products(_architecture(vae), setting.batch, size, gaussian=True)
        ]
        row = Row(
            "step",
            f"CR with {name}{suffix}",
            "float32",
            times[suffix],
            times["VAE"],
            "the same model's plain VAE step",
            _inputs(points, setting),
            setting.batch,
            points,
            floor_ms=floor_ms(products, speed, speed),
            gflop=gflop_by_part(products),
            cr_over_vae=times[suffix] / times["VAE"],
        )
        say(f"step: {row.name}, {row.ours_ms:.0f} ms, {row.cr_over_vae:.2f} VAE steps")
        yield row


def _alternate(contenders: dict[str, Action], setting: Setting, effort: Effort) -> dict[str, float]:
    return alternate(
        {name: synchronized(action, setting.device) for name, action in contenders.items()}, effort
    )


def _clouds(setting: Setting, points: int) -> Tensor:
    return spread_pair(setting.batch, points)[0].to(setting.device)


def _mean_share_kept(consistency: ConsistencyConfig) -> float:
    """The share of the points that the transforms keep on average."""
    share = 1.0
    for transform in consistency.transforms:
        if isinstance(transform, SubsampleConfig):
            share *= (transform.min_fraction + transform.max_fraction) / 2
    return share


def _steps(name: str, setting: Setting, points: int) -> dict[str, Action]:
    """One training step of each contender, all from the same parameters."""
    clouds = _clouds(setting, points)
    config = _config(name, setting, points, consistency=None)
    reference = textbook.AutoEncoder(
        STEPS[name].textbook(),
        textbook.FoldingDecoder(
            setting.latent, setting.decoder_points, (setting.width, setting.width)
        ),
        setting.latent,
        (setting.width,),
    )
    torch.manual_seed(0)
    reference.load_state_dict(build_model(config).state_dict())
    return {
        "float32": _step_of_ours(config, clouds),
        "bfloat16": _step_of_ours(config, clouds, autocast=True),
        "reference": _textbook_step(
            reference.to(setting.device), clouds, config.training.learning_rate
        ),
    }


def _step_of_ours(config: Config, clouds: Tensor, *, autocast: bool = False) -> Action:
    """A step as the training loop takes it, transforms and latent noise drawn anew each time.

    But for `pc_crvae.utils.memory.keep_freed_memory`, which would speed up the textbook's too.
    """
    torch.manual_seed(0)
    device = clouds.device
    model = build_model(config)
    objective: TrainingObjective = build_training_objective(config, model).train().to(device)
    optimizer = build_optimizer(model, config.training)
    steps = count()

    def step() -> None:
        draws = Draws(keyed_generator("step", 0, 0, next(steps), device=device), len(clouds))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            terms = objective(clouds, draws)
        (-terms["objective"].mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _textbook_step(model: nn.Module, clouds: Tensor, learning_rate: float) -> Action:
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)

    def step() -> None:
        model(clouds).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _config(
    name: str,
    setting: Setting,
    points: int,
    *,
    consistency: ConsistencyConfig | None,
    objective: str = "autoencoder",
) -> Config:
    widths = [setting.width, setting.width]
    return parse_config(
        {
            "data": {"points": points},
            "model": {
                "encoder": STEPS[name].encoder,
                "head": {"widths": [setting.width]},
                "latent_dim": setting.latent,
                "decoder": {"name": "folding", "points": setting.decoder_points, "widths": widths},
                "likelihood": {"scale": 1.0},
            },
            "objective": {"name": objective},
            "consistency": consistency.model_dump(mode="json") if consistency else None,
        },
        f"the benchmark of {name}",
    )


def _architecture(config: Config) -> PointModelConfig:
    return cast(PointModelConfig, config.model)


def _points(name: str, setting: Setting) -> int:
    return STEPS[name].points // setting.divide_points


def _inputs(points: int, setting: Setting) -> str:
    return (
        f"{points:,} points a cloud, codeword {setting.latent}, {setting.decoder_points:,} points "
        f"folded from a plane twice, width {setting.width}"
    )
