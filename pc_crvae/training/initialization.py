"""Training that starts from the weights of a saved model, whole or in parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel

from pc_crvae.config import InitConfig, ModelPart, plain
from pc_crvae.errors import UserError
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.runs.saved import read_saved
from pc_crvae.utils.resources import shadowing_note

_SECTIONS: dict[ModelPart, tuple[str, ...]] = {
    "encoder": ("encoder",),
    "head": ("head", "latent_dim"),
    "decoder": ("decoder", "latent_dim", "likelihood.name"),
}
"""The keys of a model's configuration that say what each part is. Frames have no weights."""


@dataclass(frozen=True)
class Origin:
    """The saved model that training starts from.

    Attributes:
        init: the parts that are taken and frozen.
        model: the model.
        weights_sha256: the SHA-256, in hex, of the file of its weights.
    """

    init: InitConfig
    model: Pretrained
    weights_sha256: str

    @classmethod
    def read(cls, init: InitConfig) -> Self:
        """Read the model that ``init`` names.

        Raises:
            UserError: there is none, or it is damaged.
        """
        try:
            export, model = read_saved(Path(init.source))
        except UserError as error:
            raise UserError(f"init.from: {error}") from error
        return cls(init, model, export.weights_sha256)

    def give(self, model: Pretrained) -> dict[str, Any]:
        """Copy what is taken into ``model``, which has the same architecture.

        Returns:
            What is to be recorded of it: plain values.

        Raises:
            UserError: the model has another class, a part has another architecture, or a part was
                never trained.
        """
        if type(model) is not type(self.model):
            raise self._refusal(
                f"holds a {type(self.model).__name__}, and this config trains a "
                f"{type(model).__name__}: name another model"
            )
        if not isinstance(model, PretrainedVAE) or not isinstance(self.model, PretrainedVAE):
            self._require_same_shapes(model, self.model, "the model")
            model.load_state_dict(self.model.state_dict())
            return self._recorded([])
        parts = self._parts(self.model)
        for part in parts:
            self._require_same_part(model, self.model, part)
        for part in parts:
            model.learnt_part(part).load_state_dict(self.model.learnt_part(part).state_dict())
        return self._recorded(parts)

    def _recorded(self, parts: list[ModelPart]) -> dict[str, Any]:
        frozen = list(self.init.freeze)
        return {"weights_sha256": self.weights_sha256, "parts": parts or None, "frozen": frozen}

    def _parts(self, source: PretrainedVAE) -> list[ModelPart]:
        """The parts that are taken: what is asked for, or all that was trained."""
        asked = {*(self.init.parts or ()), *self.init.freeze}
        if "decoder" in asked and not source.decodes:
            raise self._refusal(
                "was trained without decoding (objective.weight 0), so its decoder means nothing: "
                "leave decoder out of init.parts and init.freeze"
            )
        trained = [part for part in _SECTIONS if part != "decoder" or source.decodes]
        return [part for part in trained if self.init.parts is None or part in self.init.parts]

    def _require_same_part(
        self, model: PretrainedVAE, source: PretrainedVAE, part: ModelPart
    ) -> None:
        ours, theirs = (dict(_said(one.architecture, part)) for one in (model, source))
        for key in sorted(ours.keys() | theirs.keys(), key=lambda key: not key.endswith(".name")):
            if ours.get(key) != theirs.get(key):
                raise self._refusal(
                    f"has another {part}: its model.{key} is {theirs.get(key)}, and this config's "
                    f"{ours.get(key)}; give the same, or other init.parts"
                )
        if part == "head" and model.posterior_kind != source.posterior_kind:
            raise self._refusal(
                f"has a head for a posterior of the kind {source.posterior_kind}, and this "
                f"config's objective asks for {model.posterior_kind}: choose another "
                "objective.name, or other init.parts"
            )
        self._require_same_shapes(model.learnt_part(part), source.learnt_part(part), f"the {part}")

    def _require_same_shapes(self, module: Any, source: Any, what: str) -> None:
        ours, theirs = (
            {name: tuple(tensor.shape) for name, tensor in one.state_dict().items()}
            for one in (module, source)
        )
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                raise self._refusal(
                    f"has another architecture: {name} of {what} is "
                    f"{theirs.get(name, 'missing')} there and {ours.get(name, 'missing')} here"
                )

    def _refusal(self, what: str) -> UserError:
        return UserError(f"init.from: {self.init.source} {what}")


def initial_notes(init: InitConfig) -> Iterator[str]:
    """Yield what a user should know of the weights that training starts from."""
    note = shadowing_note(Path(init.source))
    if note:
        yield note
    taken = ", ".join(init.parts) if init.parts else "all that was trained of it"
    frozen = f"; {', '.join(init.freeze)} will stay as it is" if init.freeze else ""
    yield f"training starts from {init.source}: {taken}{frozen}"


def _said(architecture: BaseModel, part: ModelPart) -> Iterator[tuple[str, Any]]:
    """The keys, and values, of a model's configuration that say what a part is."""
    values = plain(architecture)
    for path in _SECTIONS[part]:
        section, _, key = path.partition(".")
        value = values.get(section)
        if isinstance(value, dict):
            inner = [(f"{section}.{name}", each) for name, each in value.items()]
            yield from ((name, each) for name, each in inner if key in ("", name.split(".")[1]))
        else:
            yield path, value
