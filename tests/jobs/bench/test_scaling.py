"""What a large run comes to, multiplied from what small ones took."""

from jobs.bench.scaling import Scale, worked_out

SIZES = {"commit": 400, "ledger_commit": 200, "ledger_row": 25.0}
REQUESTS = {"first": {"GET": 1, "PUT": 2}, "second": {"GET": 5, "PUT": 2}, "ledger": {"GET": 10, "PUT": 2, "HEAD": 1}}


def test_every_figure_is_the_small_one_times_the_parts():
    # A million rows in parts of 1,000 are 1,000 parts; of three phases two lie behind the first.
    found = worked_out(Scale(1_000_000, 1000, rows_per_s=500.0, driver_ms=20.0, phases=3), SIZES, REQUESTS)
    assert found == {
        "parts": 1000,
        "hours_of_the_slowest_phase": 0.6,
        "parts_per_s": 0.5,
        # Half a part a second, 20 ms each.
        "driver_busy": 0.01,
        "commits": 4000,
        # 1,000 × (3 × 400 + 200) bytes.
        "commits_mb": 1,
        "ledger_gb": 0.0,
        "listings_per_phase": 1,
        # A part is 8 PUT and 1 + 2 × 5 + 10 + 1 others: 30 requests.
        "requests_m": 0.03,
        # 8,000 × 0.005 / 1,000 + 22,000 × 0.0004 / 1,000.
        "requests_usd": 0.05,
    }


def test_a_part_that_is_not_full_counts_when_pairs_do_not_divide():
    assert Scale(2001, 1000, rows_per_s=1.0, driver_ms=1.0, phases=1).parts == 3
