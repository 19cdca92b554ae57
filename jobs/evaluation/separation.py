"""How well scores tell right pairs from wrong ones."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def area_under_curve(right: NDArray[np.floating], wrong: NDArray[np.floating]) -> float:
    """Returns how often a right pair's score is above a wrong pair's; ties count half.

    Source: the Mann-Whitney statistic, U / (n m).
    """
    ranks = rankdata(np.concatenate([right, wrong]))
    count = len(right)
    above = float(ranks[:count].sum()) - count * (count + 1) / 2
    return above / (count * len(wrong))
