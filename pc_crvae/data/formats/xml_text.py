"""XML read with nothing behind it: no entities, no other files, and nesting within a bound.

Names of elements and attributes are ``{namespace}name`` where they have a namespace, else the name.
"""

import xml.etree.ElementTree as ET
from typing import Any

MOST_DEPTH = 200


class Target:
    """Takes the elements of a text as they come, as ElementTree's parser asks of a target."""

    def __init__(self) -> None:
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> Any:
        """Take the start of an element."""
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise ValueError(f"its XML is nested more than {MOST_DEPTH} deep")

    def end(self, name: str) -> Any:
        """Take the end of an element."""
        self._depth -= 1

    def doctype(self, *declaration: object) -> None:
        """Refuse a document type, by which a short text can become a very long one."""
        raise ValueError("its XML declares a document type, which is not read: save it without")

    def close(self) -> Any:
        """Return what was made of the text."""


class _Tree(Target, ET.TreeBuilder):
    close = ET.TreeBuilder.close

    def start(self, name: str, attributes: dict[str, str]) -> ET.Element:
        super().start(name, attributes)
        return ET.TreeBuilder.start(self, name, attributes)

    def end(self, name: str) -> ET.Element:
        super().end(name)
        return ET.TreeBuilder.end(self, name)


def read_xml(data: bytes, target: Target | None = None) -> Any:
    """Return what a target makes of an XML text; by default the root of its tree.

    Raises:
        ValueError: it is no well-formed XML, is nested too deeply, or declares a document type.
    """
    parser = ET.XMLParser(target=target or _Tree())
    try:
        parser.feed(data)
        return parser.close()
    except ET.ParseError as error:
        raise ValueError(f"it is no whole XML: {error}") from error


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]
