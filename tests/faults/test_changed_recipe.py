"""A recipe that is another one now, on a folder that a run of the old one has filled."""

import shutil
from hashlib import sha256

import pytest
from deadly_steps import Plot
from fault_runs import assert_same_end, bytes_of, ended, keys_by_end, record_of

RESULTS = ("ledger", "shards", "decisions", "pool")


def digests_of(out):
    """The digest of every file of every result, whichever recipe it is of."""
    paths = [path for folder in RESULTS for path in (out / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): sha256(path.read_bytes()).hexdigest() for path in paths}


def assert_untouched(out, before):
    after = digests_of(out)
    assert {path: after.get(path) for path in before} == before


@pytest.mark.parametrize(
    ("changes", "measured_again"),
    [
        (("threshold.min=4",), set()),
        (("measure_text.min_words=2",), {"measure_text"}),
        (("run.part_rows=20",), {"measure_text", "draw", "develop_on_gpu"}),
        (("source.rows=120",), {"measure_text", "draw", "develop_on_gpu"}),
        (("write_lines.unit_rows=7",), set()),
    ],
    ids=["bound", "stage", "part_rows", "source", "sink"],
)
def test_old_results_stay_as_they_were_and_new_ones_stand_beside_them_when_the_recipe_has_changed(
    changes, measured_again, toys, undisturbed_toys, tmp_path
):
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    shutil.copytree(undisturbed_toys, out)
    old, old_record = digests_of(out), record_of(out)

    # The first run of the new recipe dies in its delivery.
    dying = toys.start(out, *changes, plot=Plot(tmp_path / "dying", units={"write_lines": 2}))
    assert ended(dying)[0] == -9
    assert_untouched(out, old)
    changed = Plot(tmp_path / "changed")
    assert toys.run(out, *changes, plot=changed) == 0
    assert_untouched(out, old)
    record = record_of(out)
    assert {record.ledger, record.shards}.isdisjoint({old_record.ledger, old_record.shards})
    assert {kind for kind in ("measure_text", "draw", "develop_on_gpu") if Plot(tmp_path / "dying").work(kind)} == (
        measured_again
    )
    assert not changed.work("draw")
    assert toys.run(fresh, *changes, plot=Plot(tmp_path / "fresh-plot")) == 0
    assert_same_end(out, fresh)

    new, back = digests_of(out), Plot(tmp_path / "back")
    assert toys.run(out, plot=back) == 0
    assert record_of(out).ledger == old_record.ledger
    assert bytes_of(out) == bytes_of(undisturbed_toys)
    assert keys_by_end(out) == keys_by_end(undisturbed_toys)
    assert_untouched(out, new)
    assert not any(back.work(kind) for kind in ("measure_text", "draw", "develop_on_gpu", "write_lines"))
