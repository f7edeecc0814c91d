"""``make storm``: what becomes of runs and files that the worst happens to, as a table.

Each part stops when its share of the time is over, and tells of the trials that it had; those that
should not have ended as they did are listed below the table, and the exit status is then 1.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.storm.outcomes import Deadline, Tally, table

_SHARES = {"runs": 0.6, "writers": 0.1, "damaged": 0.15, "fuzzed": 0.15}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the storm and print its table; 1 where a trial did harm."""
    parser = argparse.ArgumentParser(description="Kill, damage and fuzz, and count what follows.")
    parser.add_argument("--minutes", type=float, default=20.0, help="bound of all of it")
    parser.add_argument("--runs", type=int, default=100, help="runs that are killed and resumed")
    parser.add_argument("--writers", type=int, default=10, help="pairs of writers to one run")
    parser.add_argument("--damaged", type=int, default=1000, help="files of ours to damage")
    parser.add_argument("--fuzzed", type=int, default=10_000, help="files of others to fuzz")
    parser.add_argument("--seed", type=int, default=0, help="fixes moments and damage")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        os.environ["PC_CRVAE_CACHE"] = str(Path(folder) / "cache")
        tallies = _storm(Path(folder), options)
    print(table(tallies))
    harmful = [line for tally in tallies for line in tally.harmful]
    for line in harmful:
        print(line)
    return 1 if harmful else 0


def _storm(folder: Path, options: argparse.Namespace) -> list[Tally]:
    import torch

    from benchmarks.storm import files, runs

    # Once, before any process is forked; it may hold no threads then.
    import_module("pc_crvae.training.run")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(options.seed)
    seconds = {part: 60 * options.minutes * share for part, share in _SHARES.items()}
    deadline = Deadline.after(seconds["runs"])
    wholes = runs.Wholes(folder)
    tallies = list(runs.kill_runs(wholes, options.runs, deadline, rng))
    deadline = Deadline.after(seconds["writers"])
    tallies.append(runs.two_writers(wholes, options.writers, deadline, rng))
    wholes.of("plain")
    plain = folder / "plain-whole"
    damages = (
        (files.artefacts_of(plain, folder), files.damaged, options.damaged, "damaged"),
        (files.inputs_of(folder, plain), files.rubbish, options.fuzzed, "fuzzed"),
    )
    for artefacts, damage, count, part in damages:
        deadline = Deadline.after(seconds[part])
        ours = part == "damaged"
        found = files.damage_files(artefacts, damage, count, deadline, rng, compare=ours)
        for tally in found:
            tally.kind = f"{part}: {tally.kind}"
            tallies.append(tally)
    return tallies


if __name__ == "__main__":
    sys.exit(main())
