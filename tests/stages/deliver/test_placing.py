import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from curation.key_draws import mixed
from stages.deliver.placing import place_rows


def keys(count):
    return [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in range(1, count + 1)]


def placed(rows, names, shard_rows=3, seed=0, window_rows=None):
    frame = pl.LazyFrame({"row": rows, "key": names}, schema={"row": pl.Int64, "key": pl.String})
    return place_rows(frame, shard_rows, seed, window_rows).collect()


def order_of(result):
    return result.drop_nulls("shard").sort("shard", "shard_position")["row"].to_list()


def test_order_follows_the_hash_when_computed_in_plain_python():
    names = keys(50)
    expected = sorted(range(50), key=lambda row: mixed(int(names[row][:16], 16) ^ mixed(7)))
    assert order_of(placed(range(50), names, seed=7)) == expected


def test_order_is_the_same_when_the_rows_come_in_another_order():
    names = keys(40)
    forward = placed(range(40), names, window_rows=10)
    backward = placed(range(39, -1, -1), names[::-1], window_rows=10)
    assert forward.equals(backward)


def test_order_differs_when_the_seed_differs():
    names = keys(40)
    assert order_of(placed(range(40), names, seed=1)) != order_of(placed(range(40), names, seed=2))


@given(count=st.integers(0, 40), shard_rows=st.integers(1, 9), window_rows=st.none() | st.integers(1, 50))
def test_shards_are_dense_and_exact_when_rows_are_placed(count, shard_rows, window_rows):
    result = placed(range(count), keys(count), shard_rows, window_rows=window_rows).drop_nulls("shard")
    places = sorted(zip(result["shard"], result["shard_position"], strict=True))
    assert places == [(place // shard_rows, place % shard_rows) for place in range(count)]


def test_smallest_row_is_kept_when_a_key_repeats():
    first, second = keys(2)
    result = placed([4, 9, 11, 2], [first, first, second, first])
    dropped = result.filter(pl.col("reason").is_not_null())
    assert dropped["row"].to_list() == [4, 9]
    assert dropped["reason"].unique().to_list() == ["repeated_row"]
    assert dropped["detail"].unique().to_list() == ["same source, URL and caption as row 2"]
    assert dropped["shard"].null_count() == dropped["shard_position"].null_count() == 2
    assert sorted(order_of(result)) == [2, 11]


def test_every_row_is_answered_once_when_keys_repeat():
    names = keys(5)
    result = placed(range(10), names * 2)
    assert result["row"].to_list() == list(range(10))
    assert result.schema == {
        "row": pl.Int64,
        "reason": pl.String,
        "detail": pl.String,
        "shard": pl.Int32,
        "shard_position": pl.Int32,
    }


def test_a_shard_draws_from_one_window_when_windows_are_as_long_as_shards():
    result = placed(range(100), keys(100), shard_rows=10, window_rows=10).with_columns(window=pl.col("row") // 10)
    assert result.group_by("shard").agg(pl.col("window").n_unique())["window"].to_list() == [1] * 10
    order = result.group_by("shard").agg(pl.col("window").first()).sort("shard")["window"].to_list()
    assert sorted(order) == list(range(10))
    assert order != list(range(10))
