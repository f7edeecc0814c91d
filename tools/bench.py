"""Timings against the textbook form, the package `benchmarks`; see ``--help``."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]

from benchmarks.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
