"""Keys that earlier versions had: a file that holds one at its default is read as if it did not."""

import json
from collections.abc import Mapping
from typing import Any

from pc_crvae.errors import UserError

REMOVED_KEYS: Mapping[str, Any] = {
    "consistency.joint_batch": False,
    "consistency.shared_noise": False,
}
"""The default of each removed key, which is what this version does."""


def without_removed_keys(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Return ``values`` of a config without the keys of `REMOVED_KEYS`.

    Args:
        values: the values as YAML holds them; they stay as they are.
        where: names their source in errors.

    Raises:
        UserError: a removed key has another value than its default.
    """
    for path, default in REMOVED_KEYS.items():
        section, key = path.split(".")
        found = values.get(section)
        if not isinstance(found, dict) or key not in found:
            continue
        if found[key] != default:
            raise UserError(
                f"{where}: {path} was removed, and is read at its default "
                f"{json.dumps(default)} alone: leave it out"
            )
        rest = {name: value for name, value in found.items() if name != key}
        values = {**values, section: rest}
    return values
