"""Configurations as files: found, read, overridden on the command line, checked, written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from pc_crvae.config.data import DataConfig, MixtureConfig, SharedSetConfig
from pc_crvae.config.experiment import Config
from pc_crvae.config.removed import without_removed_keys
from pc_crvae.errors import UserError
from pc_crvae.utils.files import write_text
from pc_crvae.utils.resources import find_experiment, resource_folder, shipped_model
from pc_crvae.utils.validation import validate
from pc_crvae.utils.yaml import parse_yaml, read_yaml

_Set = TypeVar("_Set", DataConfig, SharedSetConfig)

_ALTERNATIVES = (("training.steps", "training.epochs"), ("training.epochs", "training.steps"))
"""Keys of which one is given: an override of the first takes the place of the second."""


def find_config(path: Path) -> Path:
    """The file that ``path`` means: itself, or one that comes with the package, by its name.

    Raises:
        UserError: if there is neither, naming the nearest that comes with the package.
    """
    return find_experiment(path, resource_folder("configs"), "config")


def load_config(path: Path, overrides: list[str] | None = None) -> Config:
    """Read a YAML file, apply ``section.key=value`` overrides (values are YAML), check all.

    Raises:
        UserError: on an unreadable file, an unknown key (naming the nearest right one), a
            wrong type or a value out of range.
    """
    config = parse_config(read_yaml(path), str(path))
    return override_config(config, dict(map(_parsed, overrides or [])), "the command line")


def override_config(config: Config, changes: Mapping[str, Any], where: str) -> Config:
    """Return a configuration with other values of some keys.

    Args:
        config: the configuration that is changed.
        changes: plain values by ``section.key``, as YAML holds them: lists, texts, numbers.
        where: names the source of the values in errors.

    Raises:
        UserError: on an unknown key, a wrong type or a value out of range.
    """
    if not changes:
        return config
    values = plain(config)
    for key, other in _ALTERNATIVES:
        if changes.get(key) is not None and other not in changes:
            _apply_override(values, other, None)
    # A change of kind goes first, so that keys of the new kind can follow in any order.
    for path in sorted(changes, key=lambda path: not path.endswith(".name")):
        _apply_override(values, path, changes[path])
    return parse_config(values, where)


def parse_config(values: dict[str, Any], where: str) -> Config:
    """Check plain values against the schema; ``where`` names their source in errors.

    Keys that earlier versions had are taken at the value that changed nothing, and dropped.
    """
    return validate(Config, without_removed_keys(values, where), where)


def with_absolute_paths(config: Config) -> Config:
    """Return the same configuration, whose card, data and init are found from any folder."""
    data = config.data
    if isinstance(data, MixtureConfig):
        data = data.model_copy(update={"mixture": tuple(map(_with_absolute_paths, data.mixture))})
    else:
        data = _with_absolute_paths(data)
    init = config.init
    if init is not None and shipped_model(Path(init.source)) is None:
        source = str(Path(init.source).expanduser().absolute())
        init = init.model_copy(update={"source": source})
    return config.model_copy(update={"data": data, "init": init})


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    write_text(path, yaml.safe_dump(plain(config), sort_keys=False))


def plain(section: BaseModel) -> dict[str, Any]:
    """Plain values of a section, as JSON and YAML hold them."""
    return section.model_dump(mode="json", by_alias=True)


def json_schema() -> str:
    """The schema for editors, as ``configs/schema.json`` holds it."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def _with_absolute_paths(one: _Set) -> _Set:
    name, root = one.name, one.root
    if Path(name).suffix in (".yaml", ".yml"):
        name = str(Path(name).absolute())
    if root is not None:
        root = str(Path(root).expanduser().absolute())
    return one.model_copy(update={"name": name, "root": root})


def _parsed(override: str) -> tuple[str, Any]:
    """The path and the value of ``section.key=value``."""
    path, separator, text = override.partition("=")
    if not separator or not all(path.split(".")):
        raise UserError(f"override {override!r} must be written section.key=value")
    try:
        return path, parse_yaml(text)
    except yaml.YAMLError:
        raise UserError(f"the value of override {override!r} is not valid YAML") from None


def _apply_override(values: dict[str, Any], path: str, value: object) -> None:
    *sections, key = path.split(".")
    section = values
    for name in sections:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise UserError(f"override {path!r}: {name!r} is a value, not a section")
    changes_kind = key == "name" and sections != ["data"] and section.get("name") != value
    if changes_kind:
        section.clear()
    section[key] = value
