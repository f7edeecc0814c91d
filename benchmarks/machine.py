"""What the timings were made on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from pc_crvae.geometry.kernels import kernels_for, reference

_PACKAGES = ("torch", "numba", "numpy", "scipy", "torch-geometric")


def describe_machine(device: torch.device | None = None) -> dict[str, Any]:
    """CPU, memory, versions, threads and kernels, and the card of ``device``; no machine's name."""
    is_card = device is not None and device.type == "cuda"
    return {
        "card": torch.cuda.get_device_name(device) if is_card else None,
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "kernels": _kernels(device or torch.device("cpu")),
        "load": _load(),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _load() -> float | None:
    """Cores kept busy over the last minute."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _kernels(device: torch.device) -> str:
    """What `pc_crvae.geometry` runs on."""
    return "reference" if kernels_for(device) is reference else "fast"
