"""Which settings a run may be resumed with: its own, but for what its numbers do not depend on."""

from pathlib import Path
from typing import Any

from pc_crvae.config import Config, plain
from pc_crvae.errors import UserError

_FREE = ("logging.", "checkpoints.")  # what a run's numbers do not depend on


def differences(
    one: Config, other: Config, *, roots: bool = False
) -> dict[str, tuple[object, object]]:
    """Tell by ``section.key`` what two configurations have that numbers may depend on.

    Args:
        one: a configuration.
        other: another.
        roots: whether the folders count that data lies in.

    Returns:
        The values of both under the keys that differ, in the order of the keys.
    """
    ours, theirs = _flat(plain(one)), _flat(plain(other))
    return {
        key: (ours.get(key), theirs.get(key))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
        and not key.startswith(_FREE)
        and (roots or not key.endswith(".root"))
    }


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
    for key, (before, now) in differences(recorded, given).items():
        if key != "training.threads":
            raise UserError(
                f"{folder} was started with {key} = {before}, not {now}: a resumed run keeps its "
                "configuration"
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
