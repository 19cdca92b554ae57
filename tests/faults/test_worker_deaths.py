"""Workers that are killed in every stage, and writers that are killed between their data and the commit."""

from deadly_steps import Plot
from fault_runs import assert_same_end

PART_ROWS = 12
TOY_PART_ROWS = 16


def rows_of(part, part_rows):
    """The first and the last row of a part."""
    return part * part_rows, (part + 1) * part_rows - 1


def toy_rows(*parts):
    return {row for part in parts for row in range(part * TOY_PART_ROWS, min(100, (part + 1) * TOY_PART_ROWS))}


def test_only_what_was_in_hand_is_done_again_when_workers_die_in_stages_and_before_commits(
    toys, undisturbed_toys, cluster, tmp_path
):
    plot = Plot(
        tmp_path / "plot",
        rows={
            "measure_text": rows_of(1, TOY_PART_ROWS),
            "draw": rows_of(2, TOY_PART_ROWS),
            "develop_on_gpu": rows_of(3, TOY_PART_ROWS),
        },
        units={"write_lines": 2},
        commits=(
            "pool/measure_text-*/00000004.json",
            "pool/draw-develop_on_gpu-*/00000005.json",
            "shards/*/00000003.json",
            "ledger/*/00000006.json",
        ),
    )
    out = tmp_path / "out"
    assert toys.run(out, plot=plot, light=False, address=cluster.address) == 0
    assert plot.dead == {*plot.rows, *plot.units, *plot.commits}
    assert_same_end(out, undisturbed_toys)
    with_words = {row for row in range(100) if row % 7}
    drawn = {row for row in with_words if row % 5}
    assert set(plot.work("measure_text")) == set(range(100))
    assert plot.repeated("measure_text") == toy_rows(1, 4)
    # The second worker's death loses nothing of what the first has handed over.
    assert plot.repeated("draw") == toy_rows(2) & with_words
    assert plot.repeated("develop_on_gpu") == toy_rows(3, 5) & drawn
    assert plot.repeated("write_lines") == {2, 3}


def test_the_end_is_the_same_when_a_worker_dies_in_every_real_stage(web, undisturbed_web, cluster, tmp_path):
    undisturbed, asked = undisturbed_web
    deaths = {
        "text_rules": 0,
        "fetch_images": 2,
        "decode_images": 4,
        "fingerprint": 5,
        "score_alignment": 1,
        "recaption": 3,
    }
    plot = Plot(
        tmp_path / "plot",
        rows={kind: rows_of(part, PART_ROWS) for kind, part in deaths.items()},
        units={"write_shards": 1},
        commits=("pool/fetch_images-*/00000007.json", "pool/recaption-*/00000006.json", "ledger/*/00000006.json"),
    )
    before = web.requests()
    out = tmp_path / "out"
    # One worker a step: each loads its models anew when the one before it has died, and there is but one that dies.
    assert web.work.run(out, "run.max_workers=1", plot=plot, light=False, address=cluster.address) == 0
    assert plot.dead == {*plot.rows, *plot.units, *plot.commits}
    assert_same_end(out, undisturbed)
    again = {path for path, times in (web.requests() - before).items() if times > asked[path]}
    parts = {row // PART_ROWS for path in again for row in web.rows[path]}
    assert again
    assert parts <= {2, 4, 5, 7}
    for kind, part in deaths.items():
        assert {row // PART_ROWS for row in plot.repeated(kind)} >= {part}
