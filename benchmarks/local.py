"""What local geometry costs: a step of the octant encoder against PointNet's of the same widths.

    python -m benchmarks.local

Both views of each cloud are encoded and contrasted, and nothing is decoded, as in
``configs/modelnet10-contrast.yaml``. The two take turns in one process; times are processor time.
"""

import argparse
import statistics
import time
from itertools import count

import torch

from benchmarks.clouds import spread_pair
from benchmarks.timing import Action
from pc_crvae.config import parse_config
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.training.build import build_model, build_optimizer, build_training_objective
from pc_crvae.utils.memory import keep_freed_memory

_WIDTHS = [64, 128, 1024]
ENCODERS: dict[str, dict[str, object]] = {
    "octants": {"name": "octant_pointnet", "shares": [1 / 32], "widths": _WIDTHS},
    "PointNet": {"name": "pointnet", "widths": _WIDTHS},
}


def step_of(encoder: dict[str, object], batch: int, points: int, *, bfloat16: bool) -> Action:
    """A training step of the encoder, without its transforms."""
    sections = {
        "data": {"points": points},
        "model": {"encoder": encoder, "head": {"widths": [256]}, "latent_dim": 256},
        "objective": {"name": "elbo", "weight": 0.0, "beta": 0.001},
        "consistency": {"form": "contrast", "views": "both", "transforms": []},
        "training": {"batch_size": batch},
    }
    config = parse_config(sections, "the benchmark of local geometry")
    torch.manual_seed(0)
    objective = build_training_objective(config, build_model(config)).train()
    optimizer = build_optimizer(objective, config.training)
    clouds, _ = spread_pair(batch, points)
    steps = count()

    def step() -> None:
        draws = Draws(keyed_generator("step", 0, 0, next(steps)), batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            terms = objective(clouds, draws)
        (-terms["objective"].mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    """Print both steps and their ratio, in both precisions."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    keep_freed_memory()
    print("| in | octants, ms | PointNet, ms | ratio | of the rounds |\n|---|---:|---:|---:|---:|")
    for precision in ("float32", "bfloat16"):
        steps = {
            name: step_of(encoder, options.batch, options.points, bfloat16=precision == "bfloat16")
            for name, encoder in ENCODERS.items()
        }
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for done in range(options.rounds + 1):
            for name, step in steps.items():
                started = time.process_time()
                step()
                if done:  # the first compiles kernels
                    taken[name].append(1000 * (time.process_time() - started))
        local, plain = (statistics.median(taken[name]) for name in ENCODERS)
        ratios = [one / other for one, other in zip(*taken.values(), strict=True)]
        print(
            f"| {precision} | {local:.0f} | {plain:.0f} | {local / plain:.2f} | "
            f"{min(ratios):.2f} to {max(ratios):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
