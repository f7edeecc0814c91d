"""The one strict schema of an experiment; a YAML file under ``configs/`` is an instance of it.

Importing it does not import torch: a mistake in a config is found before anything heavy starts.
"""

from pc_crvae.config.experiment import (
    AutoEncoderConfig,
    CheckpointConfig,
    Config,
    ConsistencyConfig,
    DataConfig,
    ELBOConfig,
    IWAEConfig,
    LoggingConfig,
    ModelConfig,
    ObjectiveConfig,
    TrainingConfig,
    TransformConfig,
)
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
from pc_crvae.config.nvae import NVAEConfig, NVAEModelConfig
from pc_crvae.config.points import PointModelConfig, PointTransformConfig, SubsampleConfig
from pc_crvae.config.sections import Section

__all__ = [
    "AutoEncoderConfig",
    "CheckpointConfig",
    "Config",
    "ConsistencyConfig",
    "DataConfig",
    "ELBOConfig",
    "IWAEConfig",
    "ImageModelConfig",
    "ImageTransformConfig",
    "LoggingConfig",
    "ModelConfig",
    "NVAEConfig",
    "NVAEModelConfig",
    "ObjectiveConfig",
    "PointModelConfig",
    "PointTransformConfig",
    "Section",
    "SubsampleConfig",
    "TrainingConfig",
    "TransformConfig",
    "find_config",
    "json_schema",
    "load_config",
    "override_config",
    "parse_config",
    "plain",
    "save_config",
    "with_absolute_paths",
]
