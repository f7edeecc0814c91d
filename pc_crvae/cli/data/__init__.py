"""``data``: which data sets there are, which are here, and what one of them holds."""

DESCRIPTION = (
    "List the data sets, and show, fetch, prepare, check, measure or preview one; prune what is "
    "prepared."
)

ACTIONS = ("list", "show", "fetch", "prepare", "check", "stats", "preview", "prune")
"""The modules beside this one, each a command of its own."""
