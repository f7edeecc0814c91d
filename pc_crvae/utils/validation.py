"""What a user wrote, held against a schema, and its mistakes told in one sentence."""

import difflib
import json
import reprlib
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pc_crvae.errors import UserError

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_PROBLEMS = 3
_QUOTE = "'"


class StrictModel(BaseModel):
    """Plain values of known names and types, never changed once made."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def validate(model: type[_Model], values: object, where: str) -> _Model:
    """Return ``values`` as an instance of ``model``: strict about types, yet lists make tuples.

    Args:
        model: the schema.
        values: what the user wrote, as plain Python values.
        where: the file or option it was written in, to begin the sentence with.

    Raises:
        UserError: it strays from ``model``; the sentence says where, and how to mend it. An unknown
            key is answered with the nearest known one, or with all that are known at that level
            where none is near. Also for what JSON cannot hold, such as a date or a set.
    """
    try:
        text = json.dumps(values)
    except (TypeError, ValueError) as error:  # ValueError: a list that holds itself
        raise UserError(f"{where} holds what no setting can be: {error}") from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False)
    problems = [_problem(detail, model) for detail in details[:_MOST_PROBLEMS]]
    if len(details) > _MOST_PROBLEMS:
        problems.append(f"and {len(details) - _MOST_PROBLEMS} more")
    raise UserError(f"{where}: {'; '.join(problems)}")


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> str:
    path, level = _locate(detail["loc"], model)
    key = ".".join(path)
    named = key or "it"
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            written = str(detail["loc"][-1])
            return f"{'.'.join([*path, written])} is not a known key, {_suggest(written, level)}"
        case "missing":
            return f"{key} is missing"
        case "value_error":
            return f"{key}: {context['error']}" if key else str(context["error"])
        case "model_type":
            return f"{named} should hold keys with values, not {reprlib.repr(detail['input'])}"
        case "union_tag_not_found":
            return f"{key}.{context['discriminator'].strip(_QUOTE)} is missing"
        case "union_tag_invalid":
            # A union told apart by a function is told apart by what it calls the name.
            by = context["discriminator"].strip(_QUOTE)
            tag = f"{key}.{'name' if by.endswith('()') else by}"
            return f"{tag} should be one of {context['expected_tags']}, not {context['tag']!r}"
    _, should, what = detail["msg"].partition("should ")
    problem = f" {should}{what}" if should else f": {detail['msg']}"
    return f"{named}{problem}, not {reprlib.repr(detail['input'])}"


def _suggest(written: str, level: list[Any]) -> str:
    known = sorted(name for member in level if _is_model(member) for name in _fields(member))
    near = difflib.get_close_matches(written, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here are {', '.join(known)}"


def _locate(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[str], list[Any]]:
    """Return the keys the user wrote on the way to ``location``, and the types found there."""
    path: list[str] = []
    level: list[Any] = [model]
    for part in location:
        inner = [found for member in level for found in _inside(member, part)]
        if inner:
            path.append(str(part))
            level = inner
        else:  # A union's tag, which pydantic puts on the way though it is no key.
            level = [member for member in level if _has_tag(member, part)] or level
    return path, level


def _inside(member: Any, part: int | str) -> Iterator[Any]:
    if _is_model(member):
        fields = _fields(member)
        if isinstance(part, str) and part in fields:
            yield from _members(fields[part].annotation)
    elif get_origin(member) is dict:
        yield from _members(get_args(member)[1])
    elif get_origin(member) in (list, tuple):
        yield from _members(get_args(member)[0])


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by the keys that a user writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _members(annotation: Any) -> Iterator[Any]:
    """Yield the plain types an annotation is made of, unions and metadata taken apart."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _is_model(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)


def _has_tag(member: Any, tag: int | str) -> bool:
    return _is_model(member) and any(
        get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
        for field in member.model_fields.values()
    )
