import json

import pytest
from PIL import Image
from safetensors.torch import load_file

from curation.errors import RecipeError
from curation.models.captioner import load_captioner
from curation.models.clip import load_clip
from curation.models.references import EMBEDDED
from jobs.training.config import DataConfig, TrainConfig
from jobs.training.loop import train

DATA = DataConfig(caption="mix", hard_negatives="given", shuffle_buffer=10)
CLIP = TrainConfig(steps=20, batch_size=8, warmup_steps=5, log_every=5, compute_threads=1, data=DATA)
CAPTIONER = CLIP.model_copy(
    update={"objective": "captioning", "model": "tiny-captioner", "data": DataConfig(caption="synthetic")}
)


def _weights(result):
    (path,) = result.model.glob("*.safetensors")
    return load_file(path)


@pytest.mark.parametrize("config", [CLIP, CAPTIONER], ids=["contrastive", "captioning"])
def test_weights_are_equal_to_the_bit_when_a_training_was_interrupted(shards, tmp_path, config):
    straight = train(shards, tmp_path / "straight", config)
    train(shards, tmp_path / "parts", config, stop_after=10)
    parts = train(shards, tmp_path / "parts", config)
    expected, found = _weights(straight), _weights(parts)
    assert expected.keys() == found.keys()
    assert all(bool((expected[name] == found[name]).all()) for name in expected)
    assert straight.loss == parts.loss


def test_the_loss_falls_when_a_model_trains(shards, tmp_path):
    result = train(shards, tmp_path, CLIP)
    lines = [json.loads(line) for line in result.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_open_clip_reads_the_model_when_it_is_exported(shards, tmp_path):
    result = train(shards, tmp_path, CLIP.model_copy(update={"steps": 1}))
    clip = load_clip(f"local-dir:{result.model}")
    image = clip.preprocess(Image.new("RGB", (90, 70), "red"))[None]
    assert clip.model.encode_image(image, normalize=True).shape == (1, clip.embed_dim)
    assert clip.model.encode_text(clip.tokenizer(["a red disc"]), normalize=True).shape == (1, clip.embed_dim)


def test_transformers_reads_the_captioner_when_it_is_exported(shards, tmp_path):
    half = {"steps": 1, "weights_dtype": "fp16"}
    result = train(shards, tmp_path, CAPTIONER.model_copy(update=half))
    captioner = load_captioner(f"local-dir:{result.model}")
    ((text, score),) = captioner.generate([Image.new("RGB", (90, 70), "red")], max_new_tokens=4)
    assert isinstance(text, str)
    assert score < 0


def test_weights_are_taken_over_when_a_training_starts_from_a_model(shards, tmp_path):
    first = train(shards, tmp_path / "first", CLIP.model_copy(update={"steps": 2}))
    still = CLIP.model_copy(
        update={"steps": 1, "start_from": f"local-dir:{first.model}", "learning_rate": 1e-12, "seed": 5}
    )
    second = train(shards, tmp_path / "second", still)
    before, after = _weights(first), _weights(second)
    name = "text_projection"
    assert float((before[name] - after[name]).abs().max()) < 1e-6


def test_the_image_tower_stays_when_it_is_locked(shards, tmp_path):
    lit = {"steps": 3, "image_tower_from": "embedded:clip", "lock_image_tower": True}
    after = _weights(train(shards, tmp_path, CLIP.model_copy(update=lit)))
    (path,) = EMBEDDED["clip"].glob("*.safetensors")
    tower = {name: value for name, value in load_file(path).items() if name.startswith("visual.")}
    assert tower
    assert all(bool((after[name] == value.float()).all()) for name, value in tower.items())


def test_recipe_error_when_the_start_is_another_architecture(shards, tmp_path):
    first = train(shards, tmp_path / "first", CLIP.model_copy(update={"steps": 1}))
    other = CAPTIONER.model_copy(update={"start_from": f"local-dir:{first.model}"})
    with pytest.raises(RecipeError, match="another architecture"):
        train(shards, tmp_path / "second", other)


def test_recipe_error_when_a_folder_holds_another_training(shards, tmp_path):
    train(shards, tmp_path, CLIP.model_copy(update={"steps": 1}))
    with pytest.raises(RecipeError, match="other settings \\(learning_rate, steps\\)"):
        train(shards, tmp_path, CLIP.model_copy(update={"learning_rate": 0.5}))


def test_nothing_is_trained_when_a_training_is_done(shards, tmp_path):
    config = CLIP.model_copy(update={"steps": 2})
    first = train(shards, tmp_path, config)
    before = (first.metrics.read_text(), first.model.stat().st_mtime_ns)
    again = train(shards, tmp_path, config.model_copy(update={"log_every": 1}))
    assert again.steps == 2
    assert again.loss == pytest.approx(first.loss)
    assert first.metrics.read_text() == before[0]


def test_recipe_error_when_an_architecture_is_unknown(shards, tmp_path):
    with pytest.raises(RecipeError, match="did you mean tiny-clip"):
        train(shards, tmp_path, CLIP.model_copy(update={"model": "tiny-clpi"}))
