"""``interpolate``: shapes along paths between latents, as a strip, a page or a window."""

DESCRIPTION = "Walk between two shapes' latents, as a picture strip, a web page or a window."


def add_arguments(parser):
    pass


def run(options):
    pass
