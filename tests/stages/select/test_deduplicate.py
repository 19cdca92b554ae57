import logging
import random
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from schemas.columns import COLUMNS
from stages.select.deduplicate import Deduplicate, DeduplicateConfig, Perceptual

_TYPES = {
    "row": pl.Int64,
    "key": pl.String,
    "sha256": pl.String,
    "url": pl.String,
    "text": pl.String,
    "pdq": pl.String,
    "pdq_quality": pl.Int16,
    "pdq_inner": pl.String,
    "original_width": pl.Int32,
    "original_height": pl.Int32,
    "clip_score": pl.Float32,
    "text_chars": pl.Int32,
}


def _hash(*bits: int) -> str:
    return f"{sum(1 << bit for bit in bits):064x}"


def _pair(row: int, **values: Any) -> dict[str, Any]:
    """A row of its own: no other has its bytes, and its hash is far from those of the first dozen rows."""
    far = _hash(*range(20 * row, 20 * row + 20)) if row < 12 else None
    return {
        "row": row,
        "key": f"{row:032x}",
        "sha256": f"sha of {row}",
        "url": f"http://a.example/{row}.jpg",
        "text": f"picture {row}",
        "pdq": far,
        "pdq_quality": 100,
        "pdq_inner": None,
        "original_width": 100,
        "original_height": 100,
        "clip_score": 0.3,
        "text_chars": 10,
        **values,
    }


def _decide(rows: list[dict[str, Any]], config: DeduplicateConfig | None = None) -> dict[int, dict[str, Any]]:
    exchange = Deduplicate(config or DeduplicateConfig())
    frame = pl.DataFrame(rows, schema=_TYPES).select("row", "key", *exchange.spec.requires)
    decided = exchange.decide(frame.lazy()).collect()
    assert sorted(decided["row"].to_list()) == sorted(row["row"] for row in rows)
    return {row.pop("row"): row for row in decided.sort("row").to_dicts()}


def _kept(verdicts: dict[int, dict[str, Any]]) -> list[int]:
    return [row for row, verdict in verdicts.items() if verdict["reason"] is None]


def test_smallest_key_is_kept_when_bytes_are_equal() -> None:
    verdicts = _decide([_pair(0), _pair(1, sha256="sha of 0", pdq=_hash(*range(20))), _pair(2)])
    assert verdicts[0] == {
        "reason": None,
        "detail": None,
        "duplicate_of": None,
        "duplicate_distance": 0,
        "duplicate_group": 0,
    }
    assert verdicts[1] == {
        "reason": "exact",
        "detail": "equal sha256",
        "duplicate_of": f"{0:032x}",
        "duplicate_distance": 0,
        "duplicate_group": 0,
    }
    assert set(verdicts[2].values()) == {None}


@pytest.mark.parametrize(("bits", "reason"), [(31, "perceptual"), (32, None)])
def test_near_copy_is_rejected_when_its_hash_is_within_the_bound(bits: int, reason: str | None) -> None:
    verdicts = _decide([_pair(0, pdq=_hash()), _pair(1, pdq=_hash(*range(bits)))])
    assert verdicts[1]["reason"] == reason
    assert verdicts[1]["detail"] == ("pdq distance 31 <= 31" if reason else None)
    assert verdicts[1]["duplicate_distance"] == (31 if reason else None)
    assert verdicts[0]["duplicate_group"] == (0 if reason else None)


def test_crop_is_rejected_when_the_inner_part_of_a_picture_is_near_it() -> None:
    rows = [_pair(0, pdq=_hash(), pdq_inner=_hash(*range(25))), _pair(1, pdq=_hash(*range(40)))]
    rows.append(_pair(2, pdq=_hash(*range(100, 200))))
    assert _kept(_decide(rows)) == [0, 1, 2]
    config = DeduplicateConfig(perceptual=Perceptual(variants=("pdq_inner",)))
    assert Deduplicate(config).spec.requires[-1] == "pdq_inner"
    verdicts = _decide(rows, config)
    assert _kept(verdicts) == [0, 2]
    assert verdicts[1]["detail"] == "pdq distance 15 <= 31"


@pytest.mark.parametrize(("quality", "reason"), [(50, "perceptual"), (49, None), (None, None)])
def test_hash_is_not_compared_when_its_quality_is_below_the_bound(quality: int | None, reason: str | None) -> None:
    blank = [_pair(row, pdq=_hash(), pdq_quality=quality) for row in range(4)]
    verdicts = _decide(blank)
    assert [verdicts[row]["reason"] for row in range(4)] == [None, reason, reason, reason]


def test_exact_copies_are_found_when_the_hash_says_nothing() -> None:
    verdicts = _decide([_pair(0, pdq_quality=0), _pair(1, pdq=None, pdq_quality=None, sha256="sha of 0")])
    assert verdicts[1]["reason"] == "exact"
    assert verdicts[1]["duplicate_distance"] == 0


@pytest.mark.parametrize(
    ("prefer", "kept"),
    [
        (("largest",), 1),
        (("best_score",), 2),
        (("longest_text",), 3),
        (("first",), 0),
        (("largest", "longest_text"), 1),
        ((), 4),
    ],
)
def test_best_copy_is_kept_when_an_order_is_stated(prefer: tuple[str, ...], kept: int) -> None:
    rows = [
        _pair(0, key="e", clip_score=float("nan")),
        _pair(1, key="d", original_width=200, text_chars=11),
        _pair(2, key="c", clip_score=0.9, original_width=200),
        _pair(3, key="b", text_chars=99),
        _pair(4, key="a", original_width=None, clip_score=None, text_chars=None),
    ]
    for row in rows:
        row["sha256"] = "same"
    if prefer == ("largest",):
        rows[2]["original_height"] = 99
    verdicts = _decide(rows, DeduplicateConfig(prefer=prefer))  # type: ignore[arg-type]
    assert _kept(verdicts) == [kept]
    assert {verdict["duplicate_of"] for row, verdict in verdicts.items() if row != kept} == {rows[kept]["key"]}


def test_rows_are_copies_when_their_addresses_differ_in_spelling_alone() -> None:
    rows = [
        _pair(0, url="http://a.example/x.jpg?b=1&a=2&utm_source=q"),
        _pair(1, url="HTTP://A.example:80/./%78.jpg?b=1&a=2&utm_source=q#top"),
        _pair(2, url="http://a.example/x.jpg?a=2&b=1"),
        _pair(3, url="https://a.example/x.jpg?b=1&a=2&utm_source=q"),
        _pair(4, url=None),
        _pair(5, url=None),
    ]
    assert _kept(_decide(rows)) == [0, 1, 2, 3, 4, 5]
    verdicts = _decide(rows, DeduplicateConfig(exact=("url",)))
    assert _kept(verdicts) == [0, 2, 3, 4, 5]
    assert (verdicts[1]["reason"], verdicts[1]["detail"]) == ("same_url", "equal normalised url")
    loose = DeduplicateConfig(exact=("url",), drop_parameters=("utm_*",), sort_parameters=True)
    assert _kept(_decide(rows, loose)) == [0, 3, 4, 5]


def test_pairs_are_copies_when_bytes_and_words_are_equal() -> None:
    rows = [
        _pair(0, sha256="s", text="A red  Fox!"),
        _pair(1, sha256="s", text="a red fox"),
        _pair(2, sha256="s", text="a blue fox"),
        _pair(3, text="a red fox"),
        _pair(4, sha256="s", text=None),
    ]
    verdicts = _decide(rows, DeduplicateConfig(exact=("pair",), perceptual=None))
    assert _kept(verdicts) == [0, 2, 3, 4]
    assert (verdicts[1]["reason"], verdicts[1]["detail"]) == ("same_pair", "equal sha256 and normalised text")


def test_equalities_are_chained_when_several_are_asked_for() -> None:
    # 2 has the bytes of 0 and the address of 3, 1 has the address of 2.
    same = "http://a.example/same.jpg"
    rows = [_pair(0, sha256="s"), _pair(1, url=same), _pair(2, sha256="s", url=same), _pair(3, url=same), _pair(4)]
    verdicts = _decide(rows, DeduplicateConfig(exact=("image", "url"), perceptual=None))
    assert [verdict["reason"] for verdict in verdicts.values()] == [None, "same_url", "exact", "same_url", None]
    assert {verdicts[row]["duplicate_of"] for row in (1, 2, 3)} == {f"{0:032x}"}
    assert [verdict["duplicate_group"] for verdict in verdicts.values()] == [0, 0, 0, 0, None]
    urls_first = _decide(rows, DeduplicateConfig(exact=("url", "image"), perceptual=None))
    assert [verdict["reason"] for verdict in urls_first.values()] == [None, "same_url", "same_url", "same_url", None]


def test_row_is_repeated_when_its_key_was_there_before() -> None:
    verdicts = _decide([_pair(0), _pair(1, key=f"{0:032x}"), _pair(2, sha256="sha of 0", original_width=101)])
    assert {row: verdict["reason"] for row, verdict in verdicts.items()} == {0: "exact", 1: "repeated_row", 2: None}
    assert verdicts[1]["duplicate_of"] == f"{2:032x}"
    assert [verdict["duplicate_group"] for verdict in verdicts.values()] == [0, 0, 0]


def test_only_repeated_rows_go_when_nothing_else_is_asked_for() -> None:
    rows = [_pair(0), _pair(1, sha256="sha of 0"), _pair(2, key=f"{0:032x}"), _pair(3, pdq=_hash(*range(20)))]
    verdicts = _decide(rows, DeduplicateConfig(exact=False, perceptual=None, prefer=("first",)))
    assert [verdict["reason"] for verdict in verdicts.values()] == [None, None, "repeated_row", None]
    assert verdicts[2] == {"reason": "repeated_row", "detail": "equal source, url and caption"}


def test_nothing_is_read_or_added_when_only_repeated_rows_go() -> None:
    spec = Deduplicate(DeduplicateConfig(exact=False, perceptual=None, prefer=("first",))).spec
    assert (spec.requires, spec.adds) == ((), ())
    assert Deduplicate(DeduplicateConfig(exact=("url",), perceptual=None)).spec.adds[0] == "duplicate_of"


def test_equal_hashes_are_at_distance_zero_when_bytes_differ() -> None:
    near = _hash(*range(5))
    verdicts = _decide([_pair(0, pdq=_hash()), _pair(1, pdq=_hash()), _pair(2, pdq=near)])
    assert [verdict["reason"] for verdict in verdicts.values()] == [None, "perceptual", "perceptual"]
    assert [verdict["duplicate_distance"] for verdict in verdicts.values()] == [0, 0, 5]


def test_chain_is_split_with_a_warning_when_it_exceeds_the_cap(caplog: pytest.LogCaptureFixture) -> None:
    # Each hash is 30 bits from the one before and 60 from the one before that.
    rows = [_pair(at, pdq=_hash(*range(30 * at))) for at in range(6)]
    assert _kept(_decide(rows)) == [0]
    with caplog.at_level(logging.WARNING):
        verdicts = _decide(rows, DeduplicateConfig(perceptual=Perceptual(max_group=5)))
    assert _kept(verdicts) == [0, 2, 4]
    assert [verdict["duplicate_of"] and int(verdict["duplicate_of"], 16) for verdict in verdicts.values()] == [
        *(None, 0, None, 2, None, 4)
    ]
    assert "1 groups connected by chains" in caplog.text
    assert "(the largest 6)" in caplog.text


def _random_rows(seed: int, count: int) -> list[dict[str, Any]]:
    draws = random.Random(seed)
    centres = [draws.getrandbits(256) for _ in range(6)]
    rows = []
    for row in range(count):
        value = draws.choice(centres)
        for bit in draws.sample(range(256), draws.choice([0, 1, 10, 20, 30])):
            value ^= 1 << bit
        rows.append(
            _pair(
                row,
                key=f"{draws.choice([row, row, row, row // 7]):032x}",
                sha256=f"{value:x}" if draws.random() < 0.8 else str(draws.randrange(count // 4)),
                pdq=f"{value:064x}" if draws.random() < 0.95 else None,
                pdq_quality=draws.choice([100, 100, 80, 20]),
                original_width=draws.choice([100, 200, None]),
            )
        )
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_are_the_same_when_rows_come_in_another_order(seed: int) -> None:
    rows = _random_rows(seed, 80)
    expected = _decide(rows)
    random.Random(seed).shuffle(rows)
    assert _decide(rows) == expected


@pytest.mark.parametrize("seed", range(4))
def test_groups_equal_brute_force_when_rows_are_random(seed: int) -> None:
    rows = _random_rows(seed, 80)
    first_of_key: dict[str, dict[str, Any]] = {}
    rank = {
        row["row"]: at
        for at, row in enumerate(sorted(rows, key=lambda row: (-(row["original_width"] or 0), row["key"], row["row"])))
    }
    for row in sorted(rows, key=lambda row: rank[row["row"]]):
        first_of_key.setdefault(row["key"], row)
    group = {row["row"]: rank[row["row"]] for row in rows}

    def tied(one: dict[str, Any], other: dict[str, Any]) -> bool:
        if one["key"] == other["key"]:
            return True
        if first_of_key[one["key"]] is not one or first_of_key[other["key"]] is not other:
            return False
        if one["sha256"] == other["sha256"]:
            return True
        if not (one["pdq"] and other["pdq"]) or min(one["pdq_quality"], other["pdq_quality"]) < 50:
            return False
        # A hash counts as the one of the best row with these bytes.
        best = [
            min((row for row in first_of_key.values() if row["sha256"] == this["sha256"]), key=lambda r: rank[r["row"]])
            for this in (one, other)
        ]
        return best == [one, other] and (int(one["pdq"], 16) ^ int(other["pdq"], 16)).bit_count() <= 31

    ties = [(one["row"], other["row"]) for one in rows for other in rows if one is not other and tied(one, other)]
    for _ in range(len(rows)):
        for one, other in ties:
            group[one] = min(group[one], group[other])
    verdicts = _decide(rows)
    assert set(_kept(verdicts)) == {row for row in group if group[row] == rank[row]}
    for row, verdict in verdicts.items():
        members = [other for other in group if group[other] == group[row]]
        assert verdict["duplicate_group"] == (min(members) if len(members) > 1 else None)


def test_types_are_the_registered_ones_when_there_are_rows_or_none() -> None:
    for rows in ([], [_pair(0)], [_pair(0, sha256=None, pdq=None, pdq_quality=None, original_width=None)]):
        exchange = Deduplicate(DeduplicateConfig())
        frame = pl.DataFrame(rows, schema=_TYPES).select("row", "key", *exchange.spec.requires)
        decided = exchange.decide(frame.lazy()).collect()
        assert decided.columns == ["row", "reason", "detail", *exchange.spec.adds]
        added = decided.select("row", *exchange.spec.adds)
        registered = pl.DataFrame(schema={name: _polars_type(name) for name in added.columns}).schema
        assert added.schema == registered
        assert decided.schema["reason"] == decided.schema["detail"] == pl.String
        assert len(decided) == len(rows)


def _polars_type(name: str) -> pl.DataType:
    return {"int64": pl.Int64(), "int16": pl.Int16(), "string": pl.String()}[str(COLUMNS[name].type)]


def test_nulls_are_no_copies_of_each_other_when_nothing_was_measured() -> None:
    rows = [_pair(row, sha256=None, pdq=None, pdq_quality=None) for row in range(3)]
    assert _kept(_decide(rows)) == [0, 1, 2]


def test_columns_are_required_only_when_a_setting_reads_them() -> None:
    assert Deduplicate(DeduplicateConfig(prefer=("best_score", "first"), perceptual=None)).spec.requires == (
        "clip_score",
        "sha256",
    )
    assert "sha256" not in Deduplicate(DeduplicateConfig(exact=False)).spec.requires


@pytest.mark.parametrize(
    "settings",
    [{"prefer": ("biggest",)}, {"exact": ("bytes",)}, {"perceptual": {"max_distance": 48}}, {"perceptal": None}],
)
def test_config_is_refused_when_a_setting_is_impossible(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DeduplicateConfig(**settings)


@pytest.mark.parametrize("column", ["clip_score", "sha256", "pdq_quality", "pdq"])
def test_a_variant_is_refused_when_its_column_holds_no_hashes_of_variants(column: str) -> None:
    exchange = Deduplicate(DeduplicateConfig(perceptual=Perceptual(variants=(column,))))
    with pytest.raises(
        RecipeError, match=rf"{column} holds no PDQ hashes of variants .*; name one of dihedral, pdq_inner"
    ):
        exchange.check()


def test_variants_are_accepted_when_the_fingerprint_makes_them() -> None:
    exchange = Deduplicate(DeduplicateConfig(perceptual=Perceptual(variants=("pdq_inner", "dihedral"))))
    exchange.check()
    assert {"pdq_inner", "pdq_turned_90", "pdq_flipped_x"} <= set(exchange.spec.requires)
