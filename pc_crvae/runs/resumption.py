"""Which settings a run may be resumed with: its own, but for what its numbers do not depend on."""

from pathlib import Path
from typing import Any

from pc_crvae.config import Config, plain
from pc_crvae.errors import UserError

_FREE = ("data.root", "logging.", "checkpoints.", "training.threads")


def require_same_configuration(recorded: Config, given: Config, folder: Path) -> None:
    """Check that a run can go on under a configuration.

    Args:
        recorded: the configuration that the run recorded.
        given: the one it is to be resumed with.
        folder: the run's, for the sentence.

    Raises:
        UserError: they differ in more than where data lies, what is logged, when states are saved
            and the number of threads.
    """
    before, now = _flat(plain(recorded)), _flat(plain(given))
    for key in sorted(before.keys() | now.keys()):
        is_free = key.startswith(_FREE) or key.endswith(".root")
        if not is_free and before.get(key) != now.get(key):
            raise UserError(
                f"{folder} was started with {key} = {before.get(key)}, not {now.get(key)}: a "
                "resumed run keeps its configuration"
            )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by the path of their keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key == "mixture":
            value = {str(place): part for place, part in enumerate(value)}
        is_section = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if is_section else {prefix + key: value}
    return flat
