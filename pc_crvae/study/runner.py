"""Running a study: processes side by side, each resumable, with a summary kept up to date."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pc_crvae.config import save_config
from pc_crvae.study.plan import PlannedRun
from pc_crvae.study.schema import Study
from pc_crvae.study.steps import Step, is_trained, last_validation, refuse_foreign, remaining_steps
from pc_crvae.utils.interruption import Interrupted, listen_for_interruption
from pc_crvae.utils.locks import locked
from pc_crvae.utils.progress import hours_minutes_seconds

_POLL_SECONDS = 0.1
_HEARTBEAT_SECONDS = 300.0
# One thread a process: side by side they do not fight, and sums are those of any --workers.
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}


@dataclass
class Outcomes:
    """What became of the runs that this call worked on.

    Attributes:
        failed: a sentence that says why, by the name of the run.
        running: names of runs at work.
    """

    failed: dict[str, str] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)


@dataclass
class _Active:
    run: PlannedRun
    step: Step
    process: "subprocess.Popen[bytes]"
    log: Path


@dataclass
class StudyRunner:
    """What does the runs of a study that are left.

    Attributes:
        study: says how they are probed and measured.
        runs: the runs, in the order they are started in.
        out: folder of the study.
        workers: processes side by side, of one thread each.
        say: the function that prints one line about what the study does.
        changed: called when a run starts, ends or fails.
    """

    study: Study
    runs: list[PlannedRun]
    out: Path
    workers: int
    say: Callable[[str], None]
    changed: Callable[[Outcomes], None]

    def __post_init__(self) -> None:
        self.outcomes = Outcomes()
        self.active: list[_Active] = []

    def run(self) -> Outcomes:
        """Do what is left, and return which runs failed; the others are complete.

        Raises:
            UserError: something else lies in a run's place, or another process works on the study.
            Interrupted: on SIGINT or SIGTERM, once the runs at work have saved their states.
        """
        for run in self.runs:
            refuse_foreign(run)
        self.out.mkdir(parents=True, exist_ok=True)
        busy = f"another process is at work on the study in {self.out}"
        with locked(self.out / ".lock", busy) as self.lock:
            for run in self.runs:
                save_config(run.config, _config_path(self.out, run))
            self.started = time.monotonic()
            self.done_before = self._done()
            self._work()
        return self.outcomes

    def _work(self) -> None:
        waiting = [run for run in self.runs if self._next(run) is not None]
        finished = len(self.runs) - len(waiting)
        if finished:
            self.say(f"{finished} of {len(self.runs)} runs are complete already")
        told = time.monotonic()
        with listen_for_interruption() as interruption:
            try:
                while (waiting or self.active) and not interruption.signal_number:
                    while waiting and len(self.active) < self.workers:
                        self._begin(waiting.pop(0))
                    time.sleep(_POLL_SECONDS)
                    self._reap()
                    if time.monotonic() - told > _HEARTBEAT_SECONDS:
                        told = time.monotonic()
                        at_work = ", ".join(f"{a.run.name} ({a.step.name})" for a in self.active)
                        self.say(f"at work: {at_work}; left {self._time_left()}")
                if interruption.signal_number:
                    self._stop()
                    raise Interrupted(
                        interruption.signal_number,
                        "stopped; the runs at work saved what they had: the same command goes on",
                    )
            finally:
                for active in self.active:  # a second signal, or a mistake of ours
                    active.process.kill()

    def _next(self, run: PlannedRun) -> Step | None:
        steps = remaining_steps(run, self.study, _config_path(self.out, run))
        return steps[0] if steps else None

    def _begin(self, run: PlannedRun) -> None:
        step = self._next(run)
        if step is None:
            return
        log = self.out / "logs" / f"{run.name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as file:
            file.write(f"\n$ {step.name}\n".encode())
            file.flush()
            process = subprocess.Popen(
                step.command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_ONE_THREAD},
                # A group of its own: Ctrl-C reaches it once, through us.
                start_new_session=True,
                # Held by it too, so that what outlives a kill of the study keeps others out.
                pass_fds=() if self.lock.descriptor is None else (self.lock.descriptor,),
            )
        self.active.append(_Active(run, step, process, log))
        if run.name not in self.outcomes.running:
            self.say(f"{run.name}: started")
        self.outcomes.running.add(run.name)
        self.changed(self.outcomes)

    def _reap(self) -> None:
        for active in list(self.active):
            if active.process.poll() is None:
                continue
            self.active.remove(active)
            following = self._next(active.run)
            if active.process.returncode:
                self._fail(active, _last_words(active.log, active.process.returncode))
            elif following is not None and following.name == active.step.name:
                self._fail(active, f"{active.step.name} left no complete output")
            elif following is not None:
                self._begin(active.run)
            else:
                self.outcomes.running.discard(active.run.name)
                self.changed(self.outcomes)
                self.say(f"{active.run.name}: complete; left {self._time_left()}")

    def _fail(self, active: _Active, why: str) -> None:
        sentence = f"{active.step.name}: {why} (more in {active.log})"
        self.outcomes.running.discard(active.run.name)
        self.outcomes.failed[active.run.name] = sentence
        self.changed(self.outcomes)
        self.say(f"{active.run.name}: failed, {sentence}")

    def _stop(self) -> None:
        """Ask all to save and end, and wait until they did; a second signal ends the wait."""
        for active in self.active:
            active.process.terminate()
        for active in self.active:
            active.process.wait()
        self.active.clear()
        self.outcomes.running.clear()
        self.changed(self.outcomes)

    def _done(self) -> float:
        """Passes over training sets done so far, over all runs."""
        done = 0.0
        for run in self.runs:
            last = last_validation(run)
            share = 0.0 if last is None else run.share_done(last)
            # What follows training counts for a tenth of it.
            complete = is_trained(run) and self._next(run) is None
            done += run.passes * (1.1 if complete else min(share, 1.0))
        return done

    def _time_left(self) -> str:
        """At the mean pace of this call, failed runs left out."""
        done = self._done()
        failed = self.outcomes.failed
        total = sum(1.1 * run.passes for run in self.runs if run.name not in failed)
        gained = done - self.done_before
        if gained <= 0:
            return "unknown yet"
        seconds = round(max(0.0, total - done) * (time.monotonic() - self.started) / gained)
        return hours_minutes_seconds(seconds)


def _config_path(out: Path, run: PlannedRun) -> Path:
    return out / "configs" / f"{run.name}.yaml"


def _last_words(log: Path, status: int) -> str:
    """The error that a process wrote, or how it ended."""
    lines = log.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2].splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    if told:
        return told[-1].removeprefix("error: ")
    how = f"signal {-status} ended it" if status < 0 else f"it left with status {status}"
    return f"{how}: {lines[-1].strip()}" if len(lines) > 1 else how
