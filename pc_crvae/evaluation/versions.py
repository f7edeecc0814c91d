"""The libraries that a report's numbers depend on."""

import platform
from importlib.metadata import version

_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn")


def library_versions() -> dict[str, str]:
    """Return the version of Python and of the libraries, by name."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries}
