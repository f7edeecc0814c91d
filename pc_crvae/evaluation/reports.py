"""Reports: what an evaluation found, as typed values that are written to JSON and read back."""

import json
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path

_MOST_BYTES = 32 << 20


class Part(BaseModel):
    """A part of a report: its fields are the keys in JSON, and those never set are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def plain(self) -> dict[str, Any]:
        """The values as JSON has them, in the order of the fields."""
        return self.model_dump(mode="json", exclude_unset=True)


class Report(Part):
    """A whole report, which is a file."""

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole or not at all.

        Raises:
            UserError: the file cannot be written.
        """
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(self.plain(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a report.

        Raises:
            UserError: the file is missing or cannot be read, is damaged, or holds another report.
        """
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise _damaged(path)
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValidationError, ValueError):
            raise _damaged(path) from None


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged, or of another version: make it anew")
