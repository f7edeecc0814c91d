"""Running Open3D in a child process, which it can bring down without harm to the parent.

Without a Vulkan driver, a system library or a reachable display, Open3D aborts or crashes the
interpreter instead of raising an exception.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path


class ChildFailedError(Exception):
    """Why Open3D does not work here, as half a sentence."""


# glibc then hands out zeroed memory. Open3D's renderer reads some that was never written, which
# sends the shaders of Mesa's software Vulkan into loops of minutes for clouds of few points.
_ENVIRONMENT = {"MALLOC_PERTURB_": "255"}


def run_with_open3d(
    module: str, *arguments: Path, time_limit: float | None = None, attempts: int = 1
) -> None:
    """Run ``python -m module arguments`` and wait for its end.

    Args:
        module: A module that imports Open3D.
        arguments: Files the module reads or writes.
        time_limit: Seconds after which the process is killed.
        attempts: How often it is tried, where it is killed: such hangs come and go.

    Raises:
        ChildFailedError: Open3D is not installed, or the process failed or took too long.
    """
    if importlib.util.find_spec("open3d") is None:
        raise ChildFailedError('Open3D is not installed (pip install "pc-crvae[viz]")')
    try:
        child = subprocess.run(
            [sys.executable, "-m", module, *(argument.resolve() for argument in arguments)],
            cwd=Path(__file__).parents[2],  # python -m imports from here
            env={**os.environ, **_ENVIRONMENT},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=time_limit,
        )
    except subprocess.TimeoutExpired as error:
        if attempts > 1:
            run_with_open3d(module, *arguments, time_limit=time_limit, attempts=attempts - 1)
            return
        raise ChildFailedError(f"Open3D did not finish within {time_limit} seconds") from error
    if child.returncode != 0:
        raise ChildFailedError(_reason(child))


def _reason(child: subprocess.CompletedProcess[str]) -> str:
    """Return the child's last line about an error, or else how it ended."""
    lines = [line.strip() for line in (child.stdout + "\n" + child.stderr).splitlines()]
    clues = ("error", "failed", "unable")
    errors = [line for line in lines if any(clue in line.lower() for clue in clues)]
    errors = [line for line in errors if not line.startswith("Fatal Python error")]
    if errors:
        return f"Open3D says '{errors[-1]}'"
    if child.returncode < 0:
        return f"Open3D died of {signal.Signals(-child.returncode).name}"
    return f"Open3D ended with status {child.returncode}"
