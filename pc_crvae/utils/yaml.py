"""YAML as people write it: ``1e-3`` is a number, and a key given twice is a mistake."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pc_crvae.errors import UserError, reason_of

_DEEPEST = 64
_MOST_VALUES = 100_000
_MOST_BYTES = 4 << 20


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's floats and unique keys, and bounds on what is built."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_document(self, node: yaml.Node) -> Any:
        # An alias is one node in many places: a few lines of them can stand for billions of values.
        if _count_values(node, {}) > _MOST_VALUES:
            raise _mistake("it stands for too many values", node)
        return super().construct_document(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        # A tag, or a form that looks like a date or a number, with something else behind it.
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _mistake(f"a value is no {kind}: {reason_of(error)}", node) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise _mistake(f"the key {twice!r} is given twice", node)
        return mapping


def _mistake(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _count_values(node: yaml.Node, known: dict[int, int]) -> int:
    """The values that a node stands for, those behind aliases counted wherever they stand."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1  # while it is counted: one that holds itself is endless
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for pair in inner for part in (pair if isinstance(pair, tuple) else (pair,)))
        known[id(node)] = 1 + sum(_count_values(part, known) for part in parts)
    return known[id(node)]


# YAML 1.1 takes 1e-3 for a string: its floats need a dot.
_FLOAT = re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


def parse_yaml(text: str) -> Any:
    """Parse one YAML document.

    Raises:
        yaml.YAMLError: it is not valid, is nested more than 64 deep, or stands for more than
            100,000 values, those behind aliases counted wherever they stand.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: if it cannot be read, is not YAML, or is not a mapping.
    """
    try:
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} has more than {_MOST_BYTES:,} bytes, which no settings take")
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "malformed"
        raise UserError(f"{path}{line} is not valid YAML: {problem}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold keys and values, not a {type(values).__name__}")
    return values
