"""A part that kills its worker at every try."""

from deadly_steps import Plot
from fault_runs import assert_same_end, keys_by_end, ledger_of

DEADLY = (48, 63)


def test_the_part_is_set_aside_with_code_3_and_tried_again_by_the_next_run_when_it_always_kills(
    toys, undisturbed_toys, cluster, tmp_path
):
    out = tmp_path / "out"
    plot = Plot(tmp_path / "plot", rows={"develop_on_gpu": DEADLY}, always=True)
    assert toys.run(out, "run.max_tries=2", plot=plot, address=cluster.address) == 3
    in_part = {row for row in range(DEADLY[0], DEADLY[1] + 1) if row % 7}
    developed = {row for row in in_part if row % 5}
    assert {row: plot.work("develop_on_gpu")[row] for row in in_part} == {
        row: 2 * (row in developed) for row in in_part
    }
    assert plot.repeated("draw") == set()
    keys = dict(ledger_of(out).select("row", "key").iter_rows())
    aside = {keys[row] for row in in_part}
    expected = {end: found - aside for end, found in keys_by_end(undisturbed_toys).items()}
    assert keys_by_end(out) == {**expected, ("failed", "quarantined"): aside}

    healed = Plot(tmp_path / "healed")
    assert toys.run(out, "run.max_tries=2", plot=healed, address=cluster.address) == 0
    assert_same_end(out, undisturbed_toys)
    assert dict(healed.work("draw")) == dict.fromkeys(in_part, 1)
    assert not healed.work("measure_text")
