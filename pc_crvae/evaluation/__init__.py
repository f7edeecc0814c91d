"""How good a representation is: the linear probe and the statistics of latent codes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pc_crvae.evaluation.probe.features import probe_features

__all__ = ["probe_features"]


def __getattr__(name: str) -> Any:
    if name == "probe_features":  # imported when it is asked for: it brings scikit-learn
        from pc_crvae.evaluation.probe.features import probe_features

        return probe_features
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
