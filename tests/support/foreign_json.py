"""JSON that nobody meant: values of any kind, and objects that have the names which a format looks for."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
DATES = st.sampled_from(
    [
        "2026-05-03 14:00:00 +0200", "2026-05-03", "2026-05-03T14:00:00Z", "2026-05-03T14:00:00",
        "9999-12-31T23:59:59-11:00", "0001-01-01", "2026-03-29T02:30:00", 1777786882000, 1777786882, -1, 1e300,
    ]
)  # fmt: skip


def objects(names: Sequence[str], *, more: st.SearchStrategy[Any] = JSON) -> st.SearchStrategy[Any]:
    """Objects with these names, at several depths."""
    plain = DATES | st.integers(-5, 400) | st.floats(-5, 400) | st.text(max_size=5) | more
    return st.recursive(
        plain,
        lambda inner: st.dictionaries(st.sampled_from(list(names)), inner, max_size=6) | st.lists(inner, max_size=3),
        max_leaves=30,
    )
