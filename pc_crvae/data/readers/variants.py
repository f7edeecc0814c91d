"""The forms of a layout, of which a card names one."""

from collections.abc import Mapping
from typing import TypeVar

from pc_crvae.data.cards import Card
from pc_crvae.errors import UserError

_Form = TypeVar("_Form")


def form_of(card: Card, forms: Mapping[str | None, _Form]) -> _Form:
    """Return the form that the card names; its key is None where a card need not name any.

    Raises:
        UserError: the card names another one.
    """
    if card.variant not in forms:
        known = ", ".join(name or "none" for name in forms)
        raise UserError(
            f"the card {card.name} should name a variant, one of {known}, not {card.variant}"
        )
    return forms[card.variant]
