import json
from pathlib import Path

import jsonschema
import pytest

from pc_crvae.config import json_schema
from pc_crvae.utils.resources import resource_folder
from pc_crvae.utils.yaml import read_yaml

CONFIGS = resource_folder("configs")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((CONFIGS / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_for_editors_is_current():
    current = json.loads((CONFIGS / "schema.json").read_text())
    assert current == json.loads(json_schema()), "run: make schema"


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_satisfies_the_schema_for_editors(
    config: Path, validator: jsonschema.Draft202012Validator
):
    assert [error.message for error in validator.iter_errors(read_yaml(config))] == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"traning": {}},
        {"training": {"epochs": "many"}},
        {"training": {"batch_size": 0}},
        {"model": {"encoder": {"name": "pointnett"}}},
    ],
    ids=["unknown key", "wrong type", "out of range", "unknown kind"],
)
def test_an_editor_is_told_of_a_mistake(
    mistake: dict[str, object], validator: jsonschema.Draft202012Validator
):
    assert not validator.is_valid(mistake)
