"""What comes with a model, or is called one, runs no code."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from curation.errors import CorruptionError, RecipeError
from curation.models.captioner import load_captioner
from curation.models.clip import load_clip
from curation.models.copy_descriptor import CopyDescriptor
from curation.models.references import EMBEDDED
from jobs.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from jobs.training.streams import Position


class Touch:
    """Unpickling one makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.fixture
def ran(tmp_path):
    """Whether a planted object has run, as a path that exists then."""
    path = tmp_path / "ran"
    torch.save({"x": Touch(path)}, tmp_path / "probe.pt")
    torch.load(tmp_path / "probe.pt", weights_only=False)
    assert path.exists(), "the object does nothing, so that nothing could fail"
    path.unlink()
    return path


def folder_of(name, tmp_path, weights, ran):
    """The embedded model's folder with a pickle in place of its weights."""
    folder = tmp_path / name
    shutil.copytree(EMBEDDED[name], folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    torch.save({"state_dict": Touch(ran), "weight": torch.zeros(1)}, folder / weights)
    return folder


def test_nothing_runs_when_the_weights_of_a_clip_are_a_pickle(tmp_path, ran):
    folder = folder_of("clip", tmp_path, "open_clip_pytorch_model.bin", ran)
    with pytest.raises(Exception, match=r"[Ww]eights"):
        load_clip(f"local-dir:{folder}")
    assert not ran.exists()


def test_nothing_runs_when_the_weights_of_a_captioner_are_a_pickle(tmp_path, ran):
    folder = folder_of("captioner", tmp_path, "pytorch_model.bin", ran)
    with pytest.raises(Exception, match=r"[Ww]eights"):
        load_captioner(f"local-dir:{folder}")
    assert not ran.exists()


def test_nothing_runs_when_a_copy_detector_is_a_pickle(tmp_path, ran):
    torch.save(Touch(ran), tmp_path / "model.pt")
    with pytest.raises(RecipeError, match="must be a TorchScript file"):
        CopyDescriptor(str(tmp_path / "model.pt"), 32, 1, "cpu")
    assert not ran.exists()


@pytest.mark.parametrize("architecture", ["unknown_to_transformers", None])
def test_nothing_runs_when_a_captioner_brings_code(tmp_path, ran, architecture):
    folder = tmp_path / "captioner"
    shutil.copytree(EMBEDDED["captioner"], folder)
    (folder / "mine.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    config = json.loads((folder / "config.json").read_text())
    mapped = {"AutoConfig": "mine.Config", "AutoModelForImageTextToText": "mine.Model", "AutoProcessor": "mine.Config"}
    config |= {"auto_map": mapped, "model_type": architecture or config["model_type"]}
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        before = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(config if name == "config.json" else {**before, "auto_map": mapped}))
    if architecture is None:
        # Its architecture is known, so that the code is not needed.
        load_captioner(f"local-dir:{folder}")
    else:
        with pytest.raises(RecipeError, match="comes with code of its own, which is never run"):
            load_captioner(f"local-dir:{folder}")
    assert not ran.exists()


def test_nothing_runs_when_the_optimizer_of_a_checkpoint_is_a_pickle(tmp_path, ran):
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    folder = save_checkpoint(tmp_path / "run", module, optimizer, Progress(1, (Position(),), 0.5))
    torch.save({"optimizer": optimizer.state_dict(), "rng": Touch(ran)}, folder / "optimizer.pt")
    with pytest.raises(CorruptionError, match=r"(?i)weights_only"):
        load_checkpoint(tmp_path / "run", module, optimizer)
    assert not ran.exists()
