"""What the parts of the schema are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Repeats = Annotated[int, Field(ge=1, le=256)]
"""How often a network repeats a cell: bounded, as each is built before memory can be asked for."""
DecodedPoints = Annotated[int, Field(ge=1, le=2**20)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1, max_length=64)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the schema: no unknown key, no silent conversion, never changed once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def arguments(self) -> dict[str, Any]:
        """The fields but ``name``, which are the arguments of what the section describes."""
        return {field: value for field, value in self if field != "name"}


class HeadConfig(Section):
    """From the encoder's pooled features to the posterior's parameters."""

    normalize_features: bool = Field(False, description="batch-norm of the pooled features")
    widths: tuple[PositiveInt, ...] = Field(
        (), max_length=64, description="hidden layers before the last"
    )
    batch_norm: bool = Field(False, description="batch-norm in the hidden layers")
    initial_log_variance: float = Field(
        -4.0, ge=-10, le=0, description="bias of the posterior's log-variances at the start"
    )
