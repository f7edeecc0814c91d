"""What a configuration leaves for the start of a run to choose, and the run then keeps."""

from typing import Any

from pc_crvae.config.experiment import Config


def settled_as(config: Config, recorded: Config) -> Config:
    """Return ``config`` with what it leaves open as a run has it that was started with it.

    These are ``training.precision``, where it is ``auto``, and ``training.threads``, where it is
    null.

    Args:
        config: the configuration as the user gave it.
        recorded: the run's.
    """
    given, taken = config.training, recorded.training
    changes: dict[str, Any] = {}
    if given.precision == "auto":
        changes["precision"] = taken.precision
    if given.threads is None:
        changes["threads"] = taken.threads
    return with_training(config, changes)


def with_training(config: Config, changes: dict[str, Any]) -> Config:
    """Return ``config`` with other values of some keys of its section ``training``."""
    training = config.training.model_copy(update=changes)
    return config.model_copy(update={"training": training})
