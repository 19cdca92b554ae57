import io
import logging
import pickle

import pyarrow as pa
import pytest
from PIL import Image
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.models.captioner import load_captioner
from schemas.columns import COLUMNS
from stages.caption.recaption import Recaption, RecaptionConfig

ADDED = ("captions", "caption_fault")
EXCLAMATION = 15


def table_of(images):
    return pa.table(
        {
            "row": pa.array(range(len(images)), pa.int64()),
            "key": pa.array([f"{place:032x}" for place in range(len(images))], pa.string()),
            "image": pa.array(images, pa.large_binary()),
        }
    )


@pytest.fixture
def make(captioner_folder):
    stages = []

    def build(**settings):
        config = {"batch_size": 3, "max_new_tokens": 8, **settings}
        stage = Recaption(RecaptionConfig(model=f"local-dir:{captioner_folder}", **config))
        stage.setup()
        stages.append(stage)
        return stage

    yield build
    for stage in stages:
        stage.close()


def silence(stage, token):
    """Makes the model say one token and nothing else."""
    import torch

    head = stage._captioner.model.text_decoder.cls.predictions
    with torch.no_grad():
        head.bias[token] = 1e4
        head.decoder.bias[token] = 1e4


def test_each_prompt_adds_what_the_captioner_says(make, captioner_folder, picture):
    images = [picture(seed) for seed in range(5)]
    prompts = (None, "a photo of")
    result = make(prompts=prompts).process(table_of(images)).to_pylist()
    captioner = load_captioner(f"local-dir:{captioner_folder}")
    for row, image in zip(result, images, strict=True):
        opened = Image.open(io.BytesIO(image)).convert("RGB")
        expected = [(prompt, *captioner.generate([opened], prompt, 8)[0]) for prompt in prompts]
        assert row["caption_fault"] is None
        assert [(entry["prompt"], entry["text"]) for entry in row["captions"]] == [
            (said[0], said[1]) for said in expected
        ]
        for entry, (_, _, score) in zip(row["captions"], expected, strict=True):
            assert entry["score"] == pytest.approx(score, abs=1e-4)
            assert entry["model"] == f"local-dir:{captioner_folder}"


def test_output_has_the_input_s_columns_and_the_registered_ones(make, picture):
    stage, table = make(), table_of([picture(0)])
    result = stage.process(table)
    assert result.schema.names == [*table.schema.names, *ADDED]
    assert stage.spec.adds == ADDED
    for name in ADDED:
        assert result.schema.field(name).type == COLUMNS[name].type


def test_an_empty_table_gets_the_columns(make):
    result = make().process(table_of([]))
    assert (result.num_rows, [result.schema.field(name).type for name in ADDED]) == (
        0,
        [COLUMNS[name].type for name in ADDED],
    )


def test_a_row_s_caption_is_the_same_whatever_rows_stand_beside_it(make, picture):
    stage = make()
    images = [picture(seed) for seed in range(4)]
    whole = stage.process(table_of(images))["captions"].to_pylist()
    backwards = stage.process(table_of(images[::-1]))["captions"].to_pylist()
    alone = [stage.process(table_of([image]))["captions"].to_pylist()[0] for image in images]
    said = [[[entry["text"] for entry in captions] for captions in run] for run in (whole, backwards[::-1], alone)]
    assert said[0] == said[1] == said[2]


def test_a_row_lives_on_without_captions_when_the_model_says_nothing_of_use(make, picture, caplog):
    stage = make(prompts=(None, "a photo of"))
    silence(stage, EXCLAMATION)
    with caplog.at_level(logging.WARNING):
        result = stage.process(table_of([picture(0)] * 10))
    assert "outcome" not in result.column_names
    assert result["captions"].to_pylist() == [[]] * 10
    said = "!!!!!!!!"
    assert set(result["caption_fault"].to_pylist()) == {f"no_words ({said}); no_words ({said})"}
    assert "20 of 20 generated captions were discarded (no_words: 20)" in caplog.text


def test_an_overflow_is_no_caption(make, picture):
    import torch

    stage = make()
    with torch.no_grad():
        stage._captioner.model.text_decoder.cls.predictions.decoder.weight.fill_(float("nan"))
    result = stage.process(table_of([picture(0)]))
    assert result["captions"].to_pylist() == [[]]
    assert result["caption_fault"][0].as_py().startswith(("non_finite_score", "empty"))


def test_broken_images_fail_and_the_others_are_captioned(make, picture):
    images = [b"no image", picture(0), None, picture(1), picture(2)[:100], picture(3)]
    stage = make()
    result = stage.process(table_of(images))
    assert result["reason"].to_pylist() == ["corrupt_image", None, "corrupt_image", None, "corrupt_image", None]
    captions = result["captions"].to_pylist()
    assert [captions[place] for place in (0, 2, 4)] == [None] * 3
    alone = stage.process(table_of([images[1], images[3], images[5]]))["captions"].to_pylist()
    assert [[entry["text"] for entry in captions[place]] for place in (1, 3, 5)] == [
        [entry["text"] for entry in found] for found in alone
    ]


def test_a_part_of_broken_images_alone_goes_through(make):
    assert make().process(table_of([b"x"] * 7))["outcome"].to_pylist() == ["failed"] * 7


def test_weights_are_narrowed_when_the_precision_says_so(make, picture):
    import torch

    stage = make(precision="bf16")
    assert next(stage._captioner.model.parameters()).dtype == torch.bfloat16
    assert len(stage.process(table_of([picture(0)]))["captions"].to_pylist()[0]) == 1


def test_beams_are_searched_when_asked_for(make, captioner_folder, picture):
    result = make(num_beams=3).process(table_of([picture(0)]))["captions"].to_pylist()[0]
    opened = Image.open(io.BytesIO(picture(0))).convert("RGB")
    text, score = load_captioner(f"local-dir:{captioner_folder}").generate([opened], None, 8, 3)[0]
    assert (result[0]["text"], result[0]["score"]) == (text, pytest.approx(score, abs=1e-4))


def test_stage_can_be_pickled_before_setup_and_leaves_its_input_alone(captioner_folder, picture):
    config = RecaptionConfig(model=f"local-dir:{captioner_folder}", batch_size=2, max_new_tokens=4)
    stage = pickle.loads(pickle.dumps(Recaption(config)))
    stage.setup()
    table = table_of([picture(0), b"x", picture(1)])
    before = pickle.dumps(table)
    first, second = stage.process(table), stage.process(table)
    stage.close()
    assert pickle.dumps(table) == before
    assert pickle.dumps(first) == pickle.dumps(second)


def test_unknown_model_is_refused_before_the_start(tmp_path):
    with pytest.raises(RecipeError, match="there is no folder"):
        Recaption(RecaptionConfig(model=f"local-dir:{tmp_path}/none")).check()


def test_a_caption_without_any_prompt_entry_is_refused():
    with pytest.raises(ValidationError):
        RecaptionConfig(model="embedded:captioner", prompts=())
