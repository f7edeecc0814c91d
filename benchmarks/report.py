"""What a run of the benchmark leaves: rows and the machine, as JSON."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path

What = Literal["ops", "step", "scaling", "data", "ceiling"]

VERSION = 1
_ALWAYS = ("what", "name", "dtype", "ours_ms", "reference_ms", "ratio")
_STARTED = time.monotonic()


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: the suite.
        name: of what is measured.
        dtype: of ours; the reference is float32 always.
        ours_ms: median milliseconds.
        reference_ms: median milliseconds, None where the reference was left out.
        reference: what is compared with.
        inputs: what both were given.
        ours_added_mb: peak of the memory added by one call, in MB (10^6 bytes).
        reference_added_mb: the same of the reference.
        floor_ms: of a step, its matrix products at the speed measured for them.
        gflop: of a step, the matrix products in that floor, by part.
        added_mb_by_points: of a step of ours, the memory added, by the size of the clouds.
        batch: clouds at once; of preparing, meshes.
        points: points a cloud.
        cloud: of scaling, ``spread`` or ``collapsed``.
        cr_over_vae: of a consistency step, how many plain VAE steps it takes.
        rate: of a ceiling, what a second does of it.
        unit: of the rate.
    """

    what: What
    name: str
    dtype: str
    ours_ms: float
    reference_ms: float | None
    reference: str
    inputs: str
    batch: int
    points: int
    ours_added_mb: float | None = None
    reference_added_mb: float | None = None
    floor_ms: float | None = None
    gflop: dict[str, float] | None = None
    added_mb_by_points: dict[str, float] | None = None
    cloud: str | None = None
    cr_over_vae: float | None = None
    rate: float | None = None
    unit: str | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the reference takes longer."""
        return self.reference_ms / self.ours_ms if self.reference_ms is not None else None

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; optional fields only where they have a value."""
        values = asdict(self) | {"ratio": self.ratio}
        if self.floor_ms is not None:
            values["floor_share"] = self.floor_ms / self.ours_ms
        ordered = {name: values.pop(name) for name in _ALWAYS}
        extra = {name: value for name, value in values.items() if value is not None}
        rounded: dict[str, Any] = _rounded(ordered | extra)
        return rounded


def save_report(report: dict[str, Any], path: Path) -> None:
    """Write a report.

    Raises:
        UserError: if the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def load_report(path: Path) -> dict[str, Any]:
    """Read a report back.

    Raises:
        UserError: if there is none, or the file is something else.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"could not read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(report, dict) or report.get("version") != VERSION:
        raise UserError(f"{path} is no report of version {VERSION} of tools/bench.py")
    return report


def say(message: str) -> None:
    """Tell on stderr how far the run is."""
    print(f"[{time.monotonic() - _STARTED:4.0f} s] {message}", file=sys.stderr, flush=True)


def _rounded(value: Any) -> Any:
    """Floats to four significant digits, which is more than they are worth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return value
