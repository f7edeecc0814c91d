"""How good a representation is: the linear probe and the statistics of latent codes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pc_crvae.evaluation.probe.features import probe_features
    from pc_crvae.evaluation.probe.table import format_table

__all__ = ["format_table", "probe_features"]

_MODULES = {"format_table": "probe.table", "probe_features": "probe.features"}


def __getattr__(name: str) -> Any:
    # Imported when they are asked for: they bring scikit-learn.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
