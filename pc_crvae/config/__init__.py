"""The one strict schema of an experiment; a YAML file under ``configs/`` is an instance of it.

Importing it does not import torch: a mistake in a config is found before anything heavy starts.
"""

from pc_crvae.config.data import DataConfig, MixtureConfig, SharedSetConfig
from pc_crvae.config.experiment import CheckpointConfig, Config, ConsistencyConfig, TrainingConfig
from pc_crvae.config.files import (
    find_config,
    json_schema,
    load_config,
    override_config,
    parse_config,
    plain,
    save_config,
    with_absolute_paths,
)
from pc_crvae.config.images import ImageModelConfig, ImageTransformConfig
from pc_crvae.config.init import InitConfig, ModelPart
from pc_crvae.config.nvae import NVAEModelConfig
from pc_crvae.config.open_choices import settled_as, with_training
from pc_crvae.config.points import PointModelConfig, SubsampleConfig
from pc_crvae.config.sections import Section

__all__ = [
    "CheckpointConfig",
    "Config",
    "ConsistencyConfig",
    "DataConfig",
    "ImageModelConfig",
    "ImageTransformConfig",
    "InitConfig",
    "MixtureConfig",
    "ModelPart",
    "NVAEModelConfig",
    "PointModelConfig",
    "Section",
    "SharedSetConfig",
    "SubsampleConfig",
    "TrainingConfig",
    "find_config",
    "json_schema",
    "load_config",
    "override_config",
    "parse_config",
    "plain",
    "save_config",
    "settled_as",
    "with_absolute_paths",
    "with_training",
]
