"""The section of a model's configuration: what it is, and how it was trained."""

from typing import Any

from pc_crvae.config import Config, plain
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.report.page import Section, collapsed, pairs, preformatted
from pc_crvae.report.stored import Subject
from pc_crvae.runs.finding import run_of


def setting_section(model: Pretrained, subject: Subject, config: Config | None) -> Section:
    """Tell what a model is, and, of one in a run, how it was trained."""
    facts = [("model", type(model).__name__)]
    for name, value in model.data.items():
        if value is not None:
            facts.append((f"data, {name.replace('_', ' ')}", str(value)))
    if config is None:
        return Section("Configuration", pairs(facts))
    values = plain(config)
    for part in ("objective", "consistency", "training"):
        facts.append((part, _in_words(values[part])))
    facts.append(("seed", str(config.seed)))
    text = run_of(subject.export).config.read_text(encoding="utf-8")
    return Section("Configuration", pairs(facts) + collapsed("config.yaml", preformatted(text)))


def _in_words(values: Any) -> str:
    """A section of a configuration in a line, what is not set left out."""
    if isinstance(values, dict):
        told = [
            _in_words(value) if name == "name" else f"{name.replace('_', ' ')} {_in_words(value)}"
            for name, value in values.items()
            if value is not None and value is not False
        ]
        return ", ".join(told)
    if isinstance(values, list):
        return "; ".join(map(_in_words, values))
    return "none" if values is None else str(values)
