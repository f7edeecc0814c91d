"""What all tests share: a cache of their own, and where real data lies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pc_crvae.utils.threads import prepare_threads

# Before anything loads torch: its threads must not spin for a core that another test has.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
prepare_threads()


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data sets are kept among the tests' own files, not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PC_CRVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder named by PC_CRVAE_DATA; the test is skipped where there is none."""
    root = os.environ.get("PC_CRVAE_DATA")
    if not root:
        pytest.skip("PC_CRVAE_DATA does not name a folder of real data")
    if not Path(root).is_dir():
        pytest.skip(f"PC_CRVAE_DATA names {root}, which is not a folder")
    return Path(root)
