"""What each process of a test does: settle a configuration that each measures another answer to."""

import json
import os
import sys
from pathlib import Path
from unittest import mock

from pc_crvae.config import Config, with_training
from pc_crvae.training import settling
from pc_crvae.training.distributed import Processes
from pc_crvae.utils.processes import parting


def main(folder: Path) -> None:
    """Write what this process settled on to a file by its rank."""
    rank = int(os.environ["RANK"])
    config = with_training(Config(), {"precision": "auto", "device": "cpu"})
    with (
        parting(),
        mock.patch.object(settling, "bfloat16_slowdown", return_value=[0.1, 40.0][rank]),
        mock.patch.object(settling, "_threads", return_value=[3, 5][rank]),
    ):
        config, _ = settling.settle(config, Processes.of(config.training), None)
    training = config.training
    (folder / f"{rank}.json").write_text(json.dumps([training.precision, training.threads]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
