"""Words of a closed set that a source writes with blanks, and we with underscores."""


def underscored(*theirs: str) -> dict[str, str]:
    """Each of their words, and ours for it: ``egg white`` is ``egg_white``."""
    return {each: each.replace(" ", "_") for each in theirs}
