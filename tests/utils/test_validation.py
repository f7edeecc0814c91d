from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from pc_crvae.errors import UserError
from pc_crvae.utils.validation import validate


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _PointNet(_Strict):
    name: Literal["pointnet"]
    widths: list[int] = []


class _DGCNN(_Strict):
    name: Literal["dgcnn"]
    neighbors: int = 20


class _Training(_Strict):
    epochs: int = Field(default=1, ge=1)
    rate: float | None = None


class _Config(_Strict):
    training: _Training | None = None
    encoder: Annotated[_PointNet | _DGCNN, Field(discriminator="name")]
    seed: int = 0


ENCODER = {"name": "pointnet"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "encoder is missing"),
        ({"sed": 1}, "sed is not a known key, did you mean seed?"),
        ({"xyz": 1}, "xyz is not a known key, known here are encoder, seed, training"),
        ({"training": {"epoch": 1}}, "training.epoch is not a known key, did you mean epochs?"),
        ({"training": {"epochs": "9"}}, "training.epochs should be a valid integer, not '9'"),
        (
            {"training": {"epochs": 0}},
            "training.epochs should be greater than or equal to 1, not 0",
        ),
        ({"training": 3}, "training should hold keys with values, not 3"),
        (
            {"encoder": {"name": "dgcnn", "neighbours": 3}},
            "encoder.neighbours is not a known key, did you mean neighbors?",
        ),
        (
            {"encoder": {"name": "pointnet", "neighbors": 3}},
            "encoder.neighbors is not a known key, known here are name, widths",
        ),
        ({"encoder": {}}, "encoder.name is missing"),
        (
            {"encoder": {"name": "pointnot"}},
            "encoder.name should be one of 'pointnet', 'dgcnn', not 'pointnot'",
        ),
        (
            {"encoder": {"name": "pointnet", "widths": [64, "x"]}},
            "encoder.widths.1 should be a valid integer, not 'x'",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(values: dict[str, object], sentence: str):
    complete = values if not values else {"encoder": ENCODER} | values
    with pytest.raises(UserError) as caught:
        validate(_Config, complete, "a.yaml")
    assert str(caught.value) == f"a.yaml: {sentence}"


def test_several_mistakes_are_told_together_and_many_are_counted():
    values = {"encoder": ENCODER, "a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
    with pytest.raises(UserError) as caught:
        validate(_Config, values, "a.yaml")
    message = str(caught.value)
    assert message.count("is not a known key") == 3
    assert message.endswith("; and 2 more")


def test_valid_values_become_the_model():
    assert validate(_Config, {"encoder": ENCODER, "seed": 3}, "a.yaml").seed == 3
