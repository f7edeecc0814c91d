"""XML read with nothing behind it: no entities, no other files, and nesting within a bound.

Names of elements and attributes are ``namespace}name`` where they have a namespace, else the name.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from xml.parsers import expat

MOST_DEPTH = 200

Start = Callable[[str, dict[str, str]], object]


def read_xml(data: bytes) -> ET.Element:
    """Return the root of an XML text.

    Raises:
        ValueError: as :func:`stream_xml`.
    """
    tree = ET.TreeBuilder()
    stream_xml(data, tree.start, tree.end, tree.data)
    return tree.close()


def stream_xml(
    data: bytes,
    start: Start,
    end: Callable[[str], object] | None = None,
    text: Callable[[str], object] | None = None,
    *,
    prefixes: dict[str, str] | None = None,
) -> None:
    """Call functions at the start and end of each element and for the texts between.

    Args:
        data: the text.
        start: takes an element's name and attributes.
        end: takes an element's name.
        text: takes a piece of a text.
        prefixes: is filled by the namespaces, by their prefixes.

    Raises:
        ValueError: it is no well-formed XML, is nested too deeply, or declares a document type,
            by which a short text can become a very long one.
    """
    depth = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(f"its XML is nested more than {MOST_DEPTH} deep")
        start(name, attributes)

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(name)

    def refuse(*declaration: object) -> None:
        raise ValueError("its XML declares a document type, which is not read: save it without")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = started, ended
    parser.StartDoctypeDeclHandler = refuse
    if prefixes is not None:
        parser.StartNamespaceDeclHandler = lambda prefix, name: prefixes.update(
            {prefix or "": name}
        )
    if text is not None:
        parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no whole XML: {error}") from error


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]
