"""A small generated internet with known truth, and what is trained and evaluated on its scenes."""
