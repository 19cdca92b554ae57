"""Two drivers that work on one folder at the same time."""

from deadly_steps import Plot
from fault_runs import assert_same_end, commits_of, ended, wait_until

PART_ROWS = 16
PHASES = ("measure_text", "draw-develop_on_gpu")


def test_they_share_the_work_and_one_commit_of_each_part_wins_when_two_run_at_once(toys, undisturbed_toys, tmp_path):
    out = tmp_path / "out"
    plot = Plot(tmp_path / "plot", together=2)
    pause = "measure_text.pause_s=0.2"
    first = toys.start(out, pause, plot=plot)
    wait_until(lambda: (out / "run.json").exists(), first)
    second = toys.start(out, pause, plot=plot)
    assert [ended(first)[0], ended(second)[0]] == [0, 0]
    assert_same_end(out, undisturbed_toys)
    assert set(plot.work("measure_text")) == set(range(100))
    # Each has one part in hand when they meet.
    for kind in ("measure_text", "draw", "develop_on_gpu"):
        assert len({row // PART_ROWS for row in plot.repeated(kind)}) <= 2
    named = {path.name for path in out.glob("pool/*/data/*.parquet")}
    assert len(named) == sum(len(commits_of(out, f"pool/{phase}-*/commits-*/*.json")) for phase in PHASES)


def test_both_come_to_the_same_end_when_one_of_them_is_on_a_cluster(toys, undisturbed_toys, cluster, tmp_path):
    out = tmp_path / "out"
    plot = Plot(tmp_path / "plot", together=2)
    here = toys.start(out, plot=plot)
    wait_until(lambda: (out / "run.json").exists(), here)
    assert toys.run(out, plot=plot, address=cluster.address) == 0
    assert ended(here)[0] == 0
    assert_same_end(out, undisturbed_toys)
