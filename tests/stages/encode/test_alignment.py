import io
import pickle

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curation.errors import RecipeError
from schemas.columns import COLUMNS, schema_of
from schemas.outcomes import FailureReason
from stages.encode.alignment import ScoreAlignment, ScoreAlignmentConfig

ADDED = ("clip_score", "clip_model", "image_embedding", "text_embedding")


def table_of(images, texts, text_column="text"):
    return pa.table(
        {
            "row": pa.array(range(len(images)), pa.int64()),
            "key": pa.array([f"{place:032x}" for place in range(len(images))], pa.string()),
            "image": pa.array(images, pa.large_binary()),
            text_column: pa.array(texts, pa.string()),
        }
    )


@pytest.fixture(scope="module")
def stage(clip_folder):
    built = ScoreAlignment(ScoreAlignmentConfig(model=f"local-dir:{clip_folder}", batch_size=4))
    built.setup()
    yield built
    built.close()


@pytest.fixture(scope="module")
def oracle(clip_folder):
    """Image and text vectors by plain open_clip code, one pair at a time."""
    import open_clip
    import torch

    name = f"local-dir:{clip_folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()

    def encode(image, text):
        with torch.no_grad():
            pixels = preprocess(Image.open(io.BytesIO(image))).unsqueeze(0)
            vectors = model.encode_image(pixels, normalize=True), model.encode_text(tokenizer([text]), normalize=True)
        return [vector[0].numpy() for vector in vectors]

    return encode


def samples(picture):
    images = [
        picture(0),
        picture(1, (64, 64), quality=95, subsampling=0),
        picture(2, (200, 31), "PNG"),
        picture(3, (33, 90), "WEBP", quality=90),
        picture(4, (20, 20)),
        picture(5, (32, 32), "PNG"),
    ]
    return images, ["a red circle", "", "two dogs, ünïcode 🐕", "word " * 60, "x", "a red circle"]


def test_scores_and_embeddings_agree_with_open_clip_when_used_plainly(stage, oracle, picture):
    images, texts = samples(picture)
    result = stage.process(table_of(images, texts)).to_pylist()
    for row, image, text in zip(result, images, texts, strict=True):
        image_vector, text_vector = oracle(image, text)
        assert np.dot(row["image_embedding"], image_vector) >= 0.999
        assert np.dot(row["text_embedding"], text_vector) >= 0.999
        assert row["clip_score"] == pytest.approx(float(image_vector @ text_vector), abs=1e-5)
        assert np.linalg.norm(np.array(row["image_embedding"], np.float32)) == pytest.approx(1, abs=2e-3)


def test_output_has_the_input_s_columns_and_the_registered_ones(stage, picture):
    table = table_of([picture(0)], ["a"])
    result = stage.process(table)
    assert result.schema.names == [*table.schema.names, *ADDED]
    for field in schema_of(*ADDED):
        assert result.schema.field(field.name).type == field.type
    assert stage.spec.adds == ADDED
    assert result["clip_model"].to_pylist() == [stage.config.model]
    assert result.select(table.schema.names).equals(table)


def test_an_empty_table_gets_the_columns(stage):
    result = stage.process(table_of([], []))
    assert result.num_rows == 0
    for name in ADDED:
        assert result.schema.field(name).type == COLUMNS[name].type


def test_a_row_s_result_is_the_same_whatever_rows_stand_beside_it(stage, picture):
    images, texts = samples(picture)
    whole = stage.process(table_of(images, texts)).select(list(ADDED)).to_pylist()
    backwards = stage.process(table_of(images[::-1], texts[::-1])).select(list(ADDED)).to_pylist()
    alone = [
        stage.process(table_of([image], [text])).select(list(ADDED)).to_pylist()[0]
        for image, text in zip(images, texts, strict=True)
    ]
    assert whole == backwards[::-1] == alone


def test_broken_rows_are_marked_and_the_others_measured(stage, picture):
    images = [picture(0), b"no image", picture(1), None, picture(2)[:200], picture(3), b""]
    texts = ["a", "b", None, "d", "e", "f", "g"]
    whole = stage.process(table_of(images, texts))
    rows = whole.to_pylist()
    assert [row["outcome"] for row in rows] == [None, "failed", "rejected", "failed", "failed", None, "failed"]
    assert rows[2]["reason"] == "missing_text"
    assert {rows[place]["reason"] for place in (1, 3, 4, 6)} == {FailureReason.CORRUPT_IMAGE.value}
    assert all(rows[place]["detail"] for place in (1, 3, 4, 6))
    for place in (1, 2, 3, 4, 6):
        assert [rows[place][name] for name in ADDED] == [None] * 4
    expected = stage.process(table_of([images[0], images[5]], ["a", "f"])).select(list(ADDED)).to_pylist()
    assert [{name: rows[place][name] for name in ADDED} for place in (0, 5)] == expected


def test_a_part_of_broken_rows_alone_goes_through(stage):
    result = stage.process(table_of([b"x"] * 9, ["a"] * 9))
    assert result["reason"].to_pylist() == ["corrupt_image"] * 9


def test_the_source_s_caption_is_scored_when_asked_for(clip_folder, stage, picture):
    built = ScoreAlignment(ScoreAlignmentConfig(model=f"local-dir:{clip_folder}", text_column="caption", batch_size=4))
    assert built.spec.requires == ("image", "caption")
    built.setup()
    scored = built.process(table_of([picture(0)], ["a dog"], "caption"))
    assert scored["clip_score"].equals(stage.process(table_of([picture(0)], ["a dog"]))["clip_score"])
    built.close()


def test_rows_fail_when_the_model_s_vectors_are_not_finite(clip_folder, picture):
    import torch

    built = ScoreAlignment(ScoreAlignmentConfig(model=f"local-dir:{clip_folder}", batch_size=2))
    built.setup()
    with torch.no_grad():
        built._clip.model.visual.proj.fill_(float("inf"))
    result = built.process(table_of([picture(0)] * 3, ["a"] * 3))
    assert result["reason"].to_pylist() == ["non_finite_score"] * 3
    assert result["image_embedding"].null_count == result["clip_score"].null_count == 3
    with torch.no_grad():
        built._clip.model.visual.proj.fill_(0.0)
    assert built.process(table_of([picture(0)], ["a"]))["reason"].to_pylist() == ["non_finite_score"]
    built.close()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_vectors_stay_near_when_the_arithmetic_is_half_as_wide(clip_folder, stage, picture, precision):
    built = ScoreAlignment(ScoreAlignmentConfig(model=f"local-dir:{clip_folder}", precision=precision, batch_size=4))
    built.setup()
    images, texts = samples(picture)
    half, full = (step.process(table_of(images, texts)) for step in (built, stage))
    built.close()
    for name in ("image_embedding", "text_embedding"):
        cosines = [np.dot(a, b) for a, b in zip(half[name].to_pylist(), full[name].to_pylist(), strict=True)]
        assert min(cosines) > 0.99


def test_stage_can_be_pickled_before_setup_and_leaves_its_input_alone(clip_folder, picture):
    built = pickle.loads(pickle.dumps(ScoreAlignment(ScoreAlignmentConfig(model=f"local-dir:{clip_folder}"))))
    built.setup()
    table = table_of([picture(0), b"x"], ["a", "b"])
    before = pickle.dumps(table)
    first, second = built.process(table), built.process(table)
    built.close()
    assert pickle.dumps(table) == before
    assert pickle.dumps(first) == pickle.dumps(second)


def test_unknown_model_is_refused_before_the_start():
    with pytest.raises(RecipeError, match="no architecture"):
        ScoreAlignment(ScoreAlignmentConfig(model="ViT-L-41/openai")).check()


@pytest.mark.parametrize(
    ("settings", "gpus"), [({}, 0), ({"device": "cuda"}, 1), ({"gpus": 0.25}, 0.25), ({"device": "cpu"}, 0)]
)
def test_gpus_are_stated_from_the_config(settings, gpus):
    spec = ScoreAlignment(ScoreAlignmentConfig(model="embedded:clip", cpus=3.0, **settings)).spec
    assert (spec.resources.cpus, spec.resources.gpus) == (3.0, gpus)
