"""Of many values, the one that a share of them does not exceed."""

from collections.abc import Sequence


def share_of(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(-(-int(share * 1000 * len(ranked)) // 1000), 1) - 1]
