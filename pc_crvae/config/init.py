"""The part of the schema that says which weights training starts from."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pc_crvae.config.sections import Section

ModelPart = Literal["encoder", "head", "decoder"]
"""Of a VAE; the encoder makes the pooled features, and the head makes q(z|x) of them."""

_Parts = Annotated[tuple[ModelPart, ...], Field(strict=False)]
_SomeParts = Annotated[_Parts, Field(min_length=1)]


class InitConfig(Section):
    """A saved model, from whose weights training starts."""

    source: str = Field(alias="from")
    """the name of a model that comes with the package, or the path of a run, of a checkpoint or of
    an export"""
    parts: _SomeParts | None = None
    """what is taken of it; null: all that was trained"""
    freeze: _Parts = ()
    """parts that stay as they were taken: no gradient, batch-norm as in evaluation"""

    @model_validator(mode="after")
    def _freezes_what_it_takes(self) -> Self:
        for name, parts in (("parts", self.parts or ()), ("freeze", self.freeze)):
            if len(set(parts)) < len(parts):
                raise ValueError(f"{name} names a part twice: {', '.join(parts)}")
        not_taken = [part for part in self.freeze if self.parts and part not in self.parts]
        if not_taken:
            raise ValueError(
                f"freeze keeps the {not_taken[0]} as it was taken, and parts does not "
                "take it: add it there, or leave it out of freeze"
            )
        return self


def _from_text(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


InitChoice = Annotated[
    InitConfig | None, BeforeValidator(_from_text, json_schema_input_type=InitConfig | str | None)
]
