"""The sentence with which a config is refused."""

import pytest

from pc_crvae.config import load_config
from pc_crvae.errors import UserError


def refusal(path, *overrides):
    """The one sentence with which a config is refused."""
    with pytest.raises(UserError) as caught:
        load_config(path, list(overrides))
    message = str(caught.value)
    assert "\n" not in message
    return message
