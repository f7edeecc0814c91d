"""How good a representation is: the linear probe and the statistics of latent codes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pc_crvae.evaluation.probe.features import probe_features
    from pc_crvae.evaluation.probe.table import format_table

__all__ = ["format_table", "probe_features"]


def __getattr__(name: str) -> Any:
    # Imported when they are asked for: they bring scikit-learn.
    if name == "probe_features":
        from pc_crvae.evaluation.probe.features import probe_features

        return probe_features
    if name == "format_table":
        from pc_crvae.evaluation.probe.table import format_table

        return format_table
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
