"""Which seeds a fuzz test tries: a few in every run; ``HEALTHSYNC_FUZZ_SEEDS=FIRST:LAST`` names others."""

import os


def fuzz_seeds(count: int) -> range:
    """The first ``count`` seeds, or those that were asked for, both ends included."""
    first, _, last = os.environ.get("HEALTHSYNC_FUZZ_SEEDS", f"0:{count - 1}").partition(":")
    return range(int(first), int(last or first) + 1)
