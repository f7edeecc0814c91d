"""Training that is killed at any moment and resumed, and that two processes want to do."""

import hashlib
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.storm.children import Child, Ended, command, timed
from benchmarks.storm.outcomes import Deadline, Outcome, Tally

_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_TINY: dict[str, Any] = {
    "data": {"points": 32},
    "model": {
        "encoder": {"name": "pointnet", "widths": [8, 16]},
        "latent_dim": 4,
        "decoder": {"name": "fully_connected", "points": 16, "widths": [16]},
    },
    "training": {"epochs": 4, "batch_size": 8, "device": "cpu"},
    "logging": {
        "every_steps": 3,
        "probe_every_epochs": 2,
        "pictures_every_epochs": 2,
        "tensorboard": False,
    },
    "checkpoints": {"every_minutes": 1e-9},
}
_IMAGES: dict[str, Any] = {
    "data": {"name": "digits", "validation_fraction": 0.49},
    "model": {
        "name": "image_vae",
        "encoder": {"name": "mlp", "widths": [8]},
        "latent_dim": 4,
        "decoder": {"name": "mlp", "widths": [8]},
        "likelihood": {"name": "bernoulli", "binarization": "dynamic"},
    },
    "consistency": {"transforms": [{"name": "published"}]},
    "training": {"epochs": 4, "batch_size": 140, "device": "cpu"},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "EMA": {"training": {"ema_decay": 0.9}},
    "accumulation": {"training": {"accumulation": 2}},
    "bfloat16": {"training": {"precision": "bfloat16"}},
    "images": _IMAGES,
}


@dataclass(frozen=True)
class Whole:
    """A run in one go, which others are held against.

    Attributes:
        config: its configuration.
        results: what it learnt and recorded, see `results_of`.
        seconds: it took.
    """

    config: Path
    results: dict[str, str]
    seconds: float

    def arguments(self, folder: Path, *flags: str) -> tuple[str, ...]:
        """The command line that makes such a run."""
        return ("train", str(self.config), "--out", str(folder), *flags)


class Wholes:
    """Runs in one go of each variant, trained when they are first asked for.

    Args:
        folder: is there, and keeps them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = folder / "tiny.yaml"
        splits = {"train": {"count": 60, "seed": 0}, "test": {"count": 20, "seed": 1}}
        card = _card() | {"name": "tiny", "points": 64, "splits": splits}
        self.card.write_text(yaml.safe_dump(card))
        self._trained: dict[str, Whole] = {}

    def of(self, name: str) -> Whole:
        """That of a variant.

        Raises:
            RuntimeError: it fails, so that there is nothing to hold others against.
        """
        if name not in self._trained:
            self._trained[name] = self._train(name)
        return self._trained[name]

    def _train(self, name: str) -> Whole:
        own = VARIANTS[name]
        sections = {key: _TINY.get(key, {}) | own.get(key, {}) for key in _TINY}
        if "name" in own.get("model", {}):
            sections |= {key: own[key] for key in ("data", "model", "consistency")}
        else:
            sections["data"] |= {"name": str(self.card)}
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(sections))
        run = self.folder / f"{name}-whole"
        arguments = ("train", str(config), "--out", str(run))
        ended, seconds = timed(Child(command(*arguments), self.folder / "log"))
        if ended.status != 0:
            raise RuntimeError(f"the run that others are held against failed: {ended.said}")
        return Whole(config, results_of(run), seconds)


def kill_runs(
    wholes: Wholes, count: int, deadline: Deadline, rng: np.random.Generator
) -> Iterator[Tally]:
    """Kill runs at random moments, read them, and resume them; a tally of each variant."""
    tallies = {name: Tally(f"killed, {name}") for name in VARIANTS}
    for trial in range(count):
        if deadline.is_over:
            break
        name = list(VARIANTS)[trial % len(VARIANTS)]
        number = int(rng.choice(_SIGNALS))
        share = float(rng.uniform(0, 1.05))
        run = wholes.folder / f"killed-{trial}"
        outcome = _kill(wholes.of(name), run, share, number, wholes.folder / "log")
        tallies[name].add(outcome, f"signal {number} after {share:.3f} of it, in {run}")
        if outcome == "same":
            shutil.rmtree(run)
    yield from tallies.values()


def two_writers(wholes: Wholes, count: int, deadline: Deadline, rng: np.random.Generator) -> Tally:
    """Start two processes on one folder: one trains, the other is refused, nothing is lost."""
    tally = Tally("two writers")
    whole, folder = wholes.of("plain"), wholes.folder
    for trial in range(count):
        if deadline.is_over:
            break
        run, flags = folder / f"both-{trial}", ("--overwrite", "--resume", "--overwrite")[trial % 3]
        first = Child(command(*whole.arguments(run)), folder / "log-1")
        first.signal_after(float(rng.uniform(0.1, 1)) * whole.seconds, 0)
        second = Child(command(*whole.arguments(run, flags)), folder / "log-2").wait()
        tally.add(_of_both(first.wait(), second, run, whole), f"{flags}, in {run}")
    return tally


def results_of(run: Path) -> dict[str, str]:
    """What a run learnt and recorded, as digests, but for what the clock says."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("items_per_second", None)
    files = ("model.safetensors", "config.json", "checkpoints/best/model.safetensors")
    digests = {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in files}
    return digests | {"metrics": json.dumps(lines)}


def _card() -> dict[str, Any]:
    from pc_crvae.data.cards import load_card

    return load_card("shapes").model_dump(mode="json")


def _kill(whole: Whole, run: Path, share: float, number: int, log: Path) -> Outcome:
    child = Child(command(*whole.arguments(run)), log)
    child.signal_after(share * whole.seconds, number)
    ended = child.wait()
    if ended.status is None:
        return "stuck"
    if ended.has_traceback:
        return "traceback"
    read = Child(lambda: _read(run), log).wait()
    if read.has_traceback:
        return "traceback"
    if read.status not in (0, 2):
        return "stuck" if read.status is None else "silently different"
    for flags in (("--resume",), (), ("--overwrite",)):
        ended = Child(command(*whole.arguments(run, *flags)), log).wait()
        if ended.status is None:
            return "stuck"
        if ended.has_traceback:
            return "traceback"
        if ended.status == 0:
            rubbish = [path for path in run.rglob(".*")]
            same = results_of(run) == whole.results and not rubbish
            return "same" if same else "silently different"
    return "refused"


def _read(run: Path) -> int:
    """Read a run as commands do that write nothing; 0 where that is its newest state, 2 refused."""
    from pc_crvae.errors import UserError
    from pc_crvae.runs.folder import Run
    from pc_crvae.runs.saved import SavedModel

    states = Run(run).states()
    try:
        read = SavedModel.open(run).weights_sha256
    except UserError:
        return 1 if states else 2
    newest = (states[-1] / "model.safetensors").read_bytes()
    return 0 if read == hashlib.sha256(newest).hexdigest() else 1


def _of_both(first: Ended, second: Ended, run: Path, whole: Whole) -> Outcome:
    if first.has_traceback or second.has_traceback:
        return "traceback"
    if first.status is None or second.status is None:
        return "stuck"
    statuses = sorted((first.status, second.status))
    same = statuses in ([0, 0], [0, 2]) and results_of(run) == whole.results
    return "same" if same else "silently different"
