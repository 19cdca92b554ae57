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


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    """A training of a dual encoder that nothing interrupted. To look at only."""
    return train(shards, tmp_path_factory.mktemp("trained"), CLIP)


@pytest.mark.parametrize("config", [CLIP, CAPTIONER], ids=["contrastive", "captioning"])
def test_weights_are_equal_to_the_bit_when_a_training_was_interrupted(shards, trained, tmp_path, config):
    straight = trained if config is CLIP else train(shards, tmp_path / "straight", config)
    train(shards, tmp_path / "parts", config, stop_after=10)
    parts = train(shards, tmp_path / "parts", config)
    expected, found = _weights(straight), _weights(parts)
    assert expected.keys() == found.keys()
    assert all(bool((expected[name] == found[name]).all()) for name in expected)
    assert straight.loss == parts.loss


def test_the_loss_falls_when_a_model_trains(trained):
    lines = [json.loads(line) for line in trained.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_open_clip_reads_the_model_when_it_is_exported(trained):
    clip = load_clip(f"local-dir:{trained.model}")
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


def test_weights_are_taken_over_when_a_training_starts_from_a_model(shards, trained, tmp_path):
    still = CLIP.model_copy(
        update={"steps": 1, "start_from": f"local-dir:{trained.model}", "learning_rate": 1e-12, "seed": 5}
    )
    before, after = _weights(trained), _weights(train(shards, tmp_path, still))
    name = "text_projection"
    assert float((before[name] - after[name]).abs().max()) < 1e-6


def test_the_image_tower_stays_when_it_is_locked(shards, tmp_path):
    lit = {"steps": 3, "image_tower_from": "embedded:clip", "lock_image_tower": True}
    after = _weights(train(shards, tmp_path, CLIP.model_copy(update=lit)))
    (path,) = EMBEDDED["clip"].glob("*.safetensors")
    tower = {name: value for name, value in load_file(path).items() if name.startswith("visual.")}
    assert tower
    assert all(bool((after[name] == value.float()).all()) for name, value in tower.items())


def test_recipe_error_when_the_start_is_another_architecture(shards, trained, tmp_path):
    other = CAPTIONER.model_copy(update={"start_from": f"local-dir:{trained.model}"})
    with pytest.raises(RecipeError, match="another architecture"):
        train(shards, tmp_path, other)


def test_recipe_error_when_a_folder_holds_another_training(shards, trained):
    with pytest.raises(RecipeError, match="other settings \\(learning_rate, steps\\)"):
        train(shards, trained.model.parent, CLIP.model_copy(update={"learning_rate": 0.5, "steps": 1}))


def test_nothing_is_trained_when_a_training_is_done(shards, trained):
    before = trained.metrics.read_text()
    again = train(shards, trained.model.parent, CLIP.model_copy(update={"log_every": 1}))
    assert again.steps == 20
    assert again.loss == pytest.approx(trained.loss)
    assert trained.metrics.read_text() == before


def test_recipe_error_when_an_architecture_is_unknown(shards, tmp_path):
    with pytest.raises(RecipeError, match="did you mean tiny-clip"):
        train(shards, tmp_path, CLIP.model_copy(update={"model": "tiny-clpi"}))
