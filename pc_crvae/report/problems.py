"""What of a page could not be made, for the terminal too."""

from dataclasses import dataclass, field

from markupsafe import Markup

from pc_crvae.errors import UserError
from pc_crvae.report.page import paragraph


@dataclass
class Problems:
    """The problems that a page names, a sentence each."""

    sentences: list[str] = field(default_factory=list)

    def tell(self, error: UserError) -> Markup:
        """Note a problem, and return it as a part of the page."""
        self.sentences.append(str(error))
        return paragraph(str(error), "damaged")
