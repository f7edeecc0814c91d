"""Training alone and beside loops that keep cores busy, by how OpenMP's threads wait.

    python -m benchmarks.busy --json busy.json

The real command trains the quickstart for some steps, in turns alone and beside the loops, and its
own record says how fast it was: starting up and the first steps are left out. The loops are
children of this process, hence in the same session: a Linux that groups processes by session for
scheduling (``/proc/PID/autogroup``) would otherwise give the loops and the training half of the
machine each, however many of them there are. Ratios are of the rounds of one run, which other work
on the machine meets alike.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import describe_machine

WAITING: dict[str, dict[str, str]] = {
    "spinning, OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
    "spinning for 10,000 turns": {"GOMP_SPINCOUNT": "10000"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "as the command sets it": {},
}
"""What is set in the environment of the command; the default of GNU OpenMP, spelt out, is kept."""

_QUIET = 0.5  # the load below which a machine counts as quiet
_EVERY = 5
_LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:  # until the script is gone, however it ended
    for _ in range(10**6):
        pass
"""
_SET_BY_USERS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS")


def milliseconds_a_step(environment: dict[str, str], steps: int, arguments: list[str]) -> float:
    """The mean over the steps of a training, the first five left out.

    Args:
        environment: what is set for the command, besides what this process has.
        steps: optimiser steps, a multiple of five.
        arguments: more of the command, such as ``--threads 1``.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _SET_BY_USERS}
    with TemporaryDirectory() as folder:
        settings = [f"training.steps={steps}", f"logging.every_steps={_EVERY}"]
        settings += ["logging.tensorboard=false", "logging.pictures_every_epochs=0"]
        settings += ["logging.probe_every_epochs=0", *arguments]
        command = [sys.executable, "-m", "pc_crvae", "train", "quickstart", *settings]
        run = Path(folder) / "run"
        subprocess.run(
            [*command, "--out", str(run)],
            env=kept | environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        speeds = [line["items_per_second"] for line in lines if line["split"] == "train"]
    batch_size = 32
    return 1000 * statistics.fmean(batch_size / speed for speed in speeds[1:])


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep ``count`` processes of this session busy."""
    loops = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def not_quiet(load: float | None) -> str | None:
    """What is to be said of a machine whose load is this before the first training starts."""
    if load is None or load < _QUIET:
        return None
    return (
        f"other processes kept this machine busy (load {load:.2f} before the run), so no training "
        'was alone: "alone" means beside no loop of ours, and the ratios are too small'
    )


def main() -> None:
    """Print the table, and write the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--loops", type=int, default=2, help="busy loops (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--steps", type=int, default=20, help="of a training (default: 20)")
    parser.add_argument("--only", nargs="*", choices=list(WAITING), default=list(WAITING))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all times are written to")
    parser.add_argument("--threads", help="of the training (default: as it chooses)")
    options = parser.parse_args()
    machine = describe_machine()
    remark = not_quiet(machine["load"])
    more = ["--threads", options.threads] if options.threads else []
    times: dict[str, dict[int, list[float]]] = {
        name: {0: [], options.loops: []} for name in options.only
    }
    for _ in range(options.rounds):
        for name in options.only:
            for loops, of_rounds in times[name].items():
                with busy_loops(loops):
                    taken = milliseconds_a_step(WAITING[name], options.steps, more)
                of_rounds.append(taken)
                print(f"{name}, {loops} loops: {taken:.0f} ms", file=sys.stderr, flush=True)
    print(f"| threads wait | alone, ms a step | beside {options.loops} loops | times |")
    print("| --- | ---: | ---: | ---: |")
    for name, of_loops in times.items():
        alone, beside = (statistics.median(of_rounds) for of_rounds in of_loops.values())
        print(f"| {name} | {alone:.0f} | {beside:.0f} | {beside / alone:.1f} |")
    if remark:
        print(f"\n{remark}")
    if options.json:
        report = {"machine": machine, "remark": remark, "milliseconds_a_step": times}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
