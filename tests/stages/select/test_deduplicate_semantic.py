import math
from typing import Literal

import faiss
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from toy_lineage import ByHand
from toy_steps import CATALOGUE, MeasureText

from curation.catalogue import Catalogue
from curation.contracts.stage import StageSpec
from curation.errors import CurationError, RecipeError
from schemas.columns import COLUMNS
from stages.select.deduplicate_semantic import DeduplicateSemantic, DeduplicateSemanticConfig

LISTS = pl.List(pl.Float32)


def at(degrees):
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def frame_of(vectors, scores=None):
    values = [None if vector is None else [float(np.float16(value)) for value in vector] for vector in vectors]
    columns = {
        "row": pl.Series(range(len(vectors)), dtype=pl.Int64),
        "key": [f"{row:032x}" for row in range(len(vectors))],
        "image_embedding": pl.Series(values, dtype=pl.List(pl.Float32)).cast(pl.List(pl.Float16)),
        "clip_score": pl.Series(scores or [None] * len(vectors), dtype=pl.Float32),
    }
    return pl.DataFrame(columns)


def decide(frame, **settings):
    exchange = DeduplicateSemantic(DeduplicateSemanticConfig(**settings))
    return exchange.decide(frame.lazy()).collect().sort("row")


def kept(verdicts):
    return verdicts.filter(pl.col("reason").is_null())["row"].to_list()


@pytest.mark.parametrize(("epsilon", "reads"), [(None, False), (0.1, True)])
def test_score_is_asked_for_when_it_says_what_is_kept(epsilon, reads):
    exchange = DeduplicateSemantic(DeduplicateSemanticConfig(keep="best_score", epsilon=epsilon, clusters=2))
    assert ("clip_score" in exchange.spec.requires) == reads
    frame = frame_of([at(0), at(1), at(90)], [0.1, 0.3, 0.2]).select("row", "key", *exchange.spec.requires)
    assert kept(exchange.decide(frame.lazy()).collect().sort("row")) == ([1, 2] if reads else [0, 1, 2])


def test_every_row_has_its_cluster_and_none_goes_when_epsilon_is_null():
    verdicts = decide(frame_of([at(0), at(0), at(90), None]), clusters=2, epsilon=None)
    assert kept(verdicts) == [0, 1, 2, 3]
    clusters = verdicts["semantic_cluster"].to_list()
    assert clusters[0] == clusters[1] != clusters[2]
    assert sorted(clusters[1:3]) == [0, 1]
    assert clusters[3] is None
    assert verdicts["detail"].to_list() == verdicts["semantic_duplicate_of"].to_list() == [None] * 4
    assert verdicts["semantic_cosine"].to_list() == [None] * 4


def test_clusters_are_those_of_a_comparison_when_epsilon_is_null():
    frame = frame_of([at(5 * place) for place in range(40)])
    column = "semantic_cluster"
    assert decide(frame, clusters=5, epsilon=None)[column].equals(decide(frame, clusters=5, epsilon=0.02)[column])


def test_room_is_taken_for_the_rows_alone_when_many_more_clusters_are_wanted():
    vectors = [[*at(5 * place), *[0.0] * 1022] for place in range(12)]
    many = decide(frame_of(vectors), clusters=10**9, epsilon=None)["semantic_cluster"]
    assert sorted(many.to_list()) == list(range(12))
    assert many.equals(decide(frame_of(vectors), clusters=12, epsilon=None)["semantic_cluster"])
    sampled = decide(frame_of(vectors), clusters=3, sample_rows=10**12, epsilon=None)["semantic_cluster"]
    assert sampled.equals(decide(frame_of(vectors), clusters=3, epsilon=None)["semantic_cluster"])


# One cluster, the centroid at the mean direction, 7.5 degrees: 30 is farthest from it, then -10, then 0, then 10.
# cos(10 degrees) = 0.98481, cos(20 degrees) = 0.93969.
FAN = [at(-10), at(0), at(10), at(30)]


def test_the_farthest_come_first_and_neighbours_of_earlier_ones_go_when_rows_are_alike():
    verdicts = decide(frame_of(FAN), clusters=1, epsilon=0.02)
    # 30 is first. -10 is 40 degrees from it and stays. 0 is 10 degrees from -10 and goes. 10 is 10 degrees from 0,
    # which is gone itself, and goes as well: the published rule holds a row against all earlier ones.
    assert kept(verdicts) == [0, 3]
    assert verdicts["semantic_duplicate_of"].to_list() == [None, f"{0:032x}", f"{1:032x}", None]
    assert verdicts["semantic_cosine"].to_list() == [
        *(pytest.approx(cosine, abs=5e-4) for cosine in (0.7660, 0.9848, 0.9848)),
        None,
    ]
    assert verdicts["semantic_cluster"].to_list() == [0, 0, 0, 0]
    assert verdicts["reason"].to_list() == [None, "semantic", "semantic", None]
    assert verdicts["detail"][1].startswith("cosine 0.98")
    assert verdicts["detail"][1].endswith(" > 0.98")


def test_a_row_at_the_bound_stays_when_its_cosine_is_not_above_it():
    assert kept(decide(frame_of(FAN), clusters=1, epsilon=0.01)) == [0, 1, 2, 3]


def test_other_rows_are_kept_when_the_recipe_prefers_others():
    # Nearest to 7.5 degrees: 10 first, then 0 (goes), -10 (10 from 0: goes), 30 (20 from 10: stays).
    assert kept(decide(frame_of(FAN), clusters=1, epsilon=0.02, keep="nearest")) == [2, 3]
    # By score: 0 first; -10 and 10 go; 30 stays.
    scores = [0.1, 0.9, None, 0.2]
    assert kept(decide(frame_of(FAN, scores), clusters=1, epsilon=0.02, keep="best_score")) == [1, 3]


def test_the_smaller_key_is_kept_when_embeddings_are_equal():
    frame = frame_of([at(0), at(0), at(90)]).with_columns(key=pl.Series(["b" * 32, "a" * 32, "c" * 32]))
    assert kept(decide(frame, clusters=2, epsilon=0.001)) == [1, 2]


def test_rows_of_different_clusters_stay_when_only_their_cluster_is_compared():
    alike = [at(0), at(1), at(90), at(91)]
    assert [row // 2 for row in kept(decide(frame_of(alike), clusters=2, epsilon=0.001))] == [0, 1]
    assert len(kept(decide(frame_of(alike), clusters=4, epsilon=0.001))) == 4


def test_rows_without_a_direction_are_kept_when_they_have_no_usable_embedding():
    vectors = [None, [0.0, 0.0], [math.nan, 1.0], at(0), at(0)]
    verdicts = decide(frame_of(vectors), sample_rows=1)
    assert kept(verdicts) == [0, 1, 2, 3]
    assert verdicts["semantic_cluster"].to_list() == [None, None, None, 0, 0]
    assert kept(decide(frame_of(vectors[:3]))) == [0, 1, 2]


def scattered(rows, groups, dimensions, seed):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((groups, dimensions))
    vectors = centres[rng.integers(groups, size=rows)] + rng.standard_normal((rows, dimensions)) * 0.15
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).tolist()


def test_verdicts_are_the_same_bits_when_order_tiles_and_threads_differ():
    frame = frame_of(scattered(1500, 120, 48, 1))
    settings = {"clusters": 12, "sample_rows": 700, "epsilon": 0.02}
    wanted = decide(frame, **settings)
    assert 200 < wanted["reason"].null_count() < 1300
    threads = faiss.omp_get_max_threads()
    shuffled = frame.sample(fraction=1, shuffle=True, seed=5)
    try:
        faiss.omp_set_num_threads(1)
        assert decide(shuffled, **settings, tile_rows=7).equals(wanted)
    finally:
        faiss.omp_set_num_threads(threads)


def test_a_column_is_refused_when_it_holds_no_vectors():
    with pytest.raises(RecipeError, match=r"clip_score holds no vectors .* name one of image_embedding"):
        DeduplicateSemantic(DeduplicateSemanticConfig(column="clip_score")).check()


def test_it_stops_when_vectors_are_of_two_models():
    with pytest.raises(CurationError, match="vectors of 3 and of 2 dimensions"):
        decide(frame_of([at(0), [1.0, 0.0, 0.0]]))


class Embed(MeasureText):
    """Row i points i degrees up."""

    class Config(MeasureText.Config):
        kind: Literal["embed"] = "embed"

    @property
    def spec(self):
        return StageSpec("embed", 1, ("caption",), ("image_embedding",))

    def process(self, table):
        vectors = [np.array(at(row), np.float16) for row in table["row"].to_pylist()]
        column = COLUMNS["image_embedding"]
        return table.append_column(column.field, pa.array(vectors, column.type))


def test_embeddings_come_out_of_the_pool_when_a_run_decides(tmp_path):
    catalogue = Catalogue(
        sources=CATALOGUE.sources,
        stages=CATALOGUE.stages | {"embed": Embed},
        exchanges={"deduplicate_semantic": DeduplicateSemantic},
        sinks={},
    )
    steps = (
        "{kind: measure_text, min_words: 1}, {kind: embed}, {kind: deduplicate_semantic, clusters: 1, epsilon: 0.0005}"
    )
    run = ByHand(tmp_path, steps, catalogue=catalogue)
    run.all()
    commit = run.lineage.items[-1].commit
    # Rows 0, 7, 14 … are gone before, and cut the others into runs: 1 to 6, 8 to 13 … 36 to 39. cos(1 degree) = 0.99985
    # is above 0.9995, cos(2 degrees) = 0.99939 is not. Of each run, the end that is farther from the middle stays.
    assert commit.rows_in == 34
    assert commit.rejected == {"deduplicate_semantic.semantic": 28}


@pytest.mark.parametrize("clusters", [1, 8])
def test_nothing_goes_when_epsilon_is_zero(clusters):
    vectors = np.random.default_rng(0).normal(size=(100, 64)).tolist()

    verdicts = decide(frame_of(vectors * 2), clusters=clusters, epsilon=0.0)

    # The cosine of equal vectors is rounded to a little more than 1 for some of them.
    assert verdicts["reason"].null_count() == 200
    assert verdicts["semantic_cosine"].max() == 1.0
    assert verdicts["semantic_cluster"].null_count() == 0


def targets_in(folder, *tables, column="image_embedding", dtype=LISTS):
    for place, vectors in enumerate(tables):
        pl.DataFrame({column: vectors}, schema={column: dtype}).write_parquet(folder / f"{place}.parquet")
    return str(folder)


@pytest.mark.parametrize("dtype", [pl.List(pl.Float16), pl.List(pl.Float32), pl.Array(pl.Float64, 2)])
def test_rows_go_when_their_cluster_is_the_nearest_of_no_target(tmp_path, dtype):
    targets = targets_in(tmp_path, [at(3), None], [at(178)], dtype=dtype)
    frame = frame_of([at(0), at(90), at(0), at(180), None])
    verdicts = decide(frame, clusters=3, epsilon=None, targets=targets)
    assert kept(verdicts) == [0, 2, 3]
    assert verdicts["reason"].to_list() == [None, "far_from_targets", None, None, "far_from_targets"]
    cluster = verdicts["semantic_cluster"].to_list()
    assert verdicts["detail"].to_list()[1] == f"cluster {cluster[1]} is nearest to no target"
    assert verdicts["detail"].to_list()[4] == "no embedding"


def test_copies_go_too_when_clusters_are_chosen_by_targets(tmp_path):
    targets = targets_in(tmp_path, [at(0)])
    verdicts = decide(frame_of([at(0), at(0), at(90), at(90)]), clusters=2, epsilon=0.01, targets=targets)
    reasons = verdicts["reason"].to_list()
    assert sorted(map(str, reasons[:2])) == ["None", "semantic"]
    assert reasons[2:] == ["far_from_targets"] * 2


def test_nothing_is_near_targets_when_no_row_has_an_embedding(tmp_path):
    verdicts = decide(frame_of([None, None]), epsilon=None, targets=targets_in(tmp_path, [at(0)]))
    assert verdicts["reason"].to_list() == ["far_from_targets"] * 2


def test_targets_are_refused_before_the_start_when_they_cannot_be_used(tmp_path):
    def check(path):
        DeduplicateSemantic(DeduplicateSemanticConfig(targets=str(path))).check()

    with pytest.raises(RecipeError, match="no tables are there"):
        check(tmp_path)
    targets_in(tmp_path, [at(0)], column="vector")
    with pytest.raises(RecipeError, match="has no column image_embedding, but vector"):
        check(tmp_path)


def test_targets_of_another_model_are_told_when_their_length_differs(tmp_path):
    with pytest.raises(RecipeError, match="of 2 dimensions, `targets` has them of 3"):
        decide(frame_of([at(0)]), targets=targets_in(tmp_path, [[1.0, 0.0, 0.0]]))
    with pytest.raises(RecipeError, match="there is no vector in its column"):
        decide(frame_of([at(0)]), targets=targets_in(tmp_path, [None]))


def test_fingerprint_changes_when_the_targets_do(tmp_path):
    exchange = DeduplicateSemantic(DeduplicateSemanticConfig(targets=targets_in(tmp_path, [at(0)])))
    before = exchange.content_digest()
    assert before is not None
    targets_in(tmp_path, [at(0), at(1)])
    assert exchange.content_digest() != before
    assert DeduplicateSemantic(DeduplicateSemanticConfig()).content_digest() is None
