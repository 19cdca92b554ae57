"""Errors travel between processes."""

import pickle

import pytest

from curation.errors import CorruptionError, CurationError, PlanError, RecipeError, StageError, TransientError


def test_a_stage_error_keeps_what_it_carries_when_it_comes_from_a_worker():
    error = pickle.loads(pickle.dumps(StageError("lost a row", stage="draw", part=7)))
    assert (error.stage, error.part, str(error)) == ("draw", 7, "part 7, step draw: lost a row")


@pytest.mark.parametrize("kind", [RecipeError, PlanError, TransientError, CorruptionError])
def test_an_error_is_caught_as_one_of_this_project_when_any_is_meant(kind):
    with pytest.raises(CurationError, match="what, where, remedy"):
        raise pickle.loads(pickle.dumps(kind("what, where, remedy")))
