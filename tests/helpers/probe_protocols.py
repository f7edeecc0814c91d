"""The protocols of the probe that come with the package."""

from pc_crvae.evaluation.probe.protocol import PROTOCOL_FOLDER


def protocol_names() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in PROTOCOL_FOLDER.glob("*.yaml"))
