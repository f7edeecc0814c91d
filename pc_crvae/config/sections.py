"""What the parts of the schema are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Repeats = Annotated[int, Field(ge=1, le=256)]
"""How often a network repeats a cell: bounded, as each is built before memory can be asked for."""
DecodedPoints = Annotated[int, Field(ge=1, le=2**20)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=64)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _described_in_one_line(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        if "description" in field:
            field["description"] = " ".join(field["description"].split())


class Section(BaseModel):
    """A part of the schema: no unknown key, no silent conversion, never changed once made.

    The text below a field describes it in the JSON schema.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_extra=_described_in_one_line,
    )

    def arguments(self) -> dict[str, Any]:
        """The fields but ``name``, which are the arguments of what the section describes."""
        return {field: value for field, value in self if field != "name"}


def rising(low: str, high: str) -> Any:
    """Return what has a section refuse values of which the lower exceeds the higher."""

    def check(section: Section) -> Section:
        if getattr(section, low) > getattr(section, high):
            raise ValueError(f"{low} must not exceed {high}")
        return section

    return model_validator(mode="after")(check)


class HeadConfig(Section):
    """From the encoder's pooled features to the posterior's parameters."""

    normalize_features: bool = False
    """batch-norm of the pooled features"""
    widths: tuple[PositiveInt, ...] = Field((), max_length=64)
    """hidden layers before the last"""
    batch_norm: bool = False
    """batch-norm in the hidden layers"""
    initial_log_variance: float = Field(-4.0, ge=-10, le=0)
    """bias of the posterior's log-variances at the start"""
