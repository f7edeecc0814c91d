"""A study's summary, as small as tables can be made of."""


def summary_of(arms, **more):
    return {
        "title": "t",
        "split": "test",
        "runs": [],
        "evaluated": None,
        "arms": arms,
        "differences": [],
        "figure_differences": [],
    } | more
