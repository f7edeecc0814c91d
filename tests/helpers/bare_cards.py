"""Cards for readers' tests: what a reader looks at, and nothing checked."""

from pc_crvae.data.cards import Card


def card(*classes: str, variant: str | None = None, name: str = "small") -> Card:
    return Card.model_construct(name=name, classes=classes, variant=variant)
