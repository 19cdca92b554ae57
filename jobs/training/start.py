"""Starts a training from weights that exist."""

from pathlib import Path

from torch import Tensor, nn

from curation.errors import RecipeError
from curation.models.references import parse_reference


def load_start(model: nn.Module, reference: str) -> None:
    """Copies the weights of an exported model of the same architecture.

    Args:
        model: changed.
        reference: of a model on this machine, such as `local-dir:DIR/model`.

    Raises:
        RecipeError: if there are no weights, or they are of another architecture.
    """
    weights = _weights_of(reference, "start_from")
    own = model.state_dict(keep_vars=True)
    tied = {value.data_ptr() for name, value in own.items() if name in weights}
    missing = [name for name, value in own.items() if name not in weights and value.data_ptr() not in tied]
    unknown = [name for name in weights if name not in own]
    if missing or unknown:
        raise RecipeError(f"start_from: {reference} is another architecture ({', '.join([*missing, *unknown][:5])})")
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise RecipeError(f"start_from: {reference} is another architecture: {error}") from error


def load_image_tower(model: nn.Module, reference: str) -> None:
    """Copies the image tower of an exported dual encoder into another of open_clip's.

    Args:
        model: changed; its image tower has the same architecture.
        reference: of a model on this machine, such as `embedded:clip`.

    Raises:
        RecipeError: if there are no weights, or the tower is of another architecture.
    """
    weights = _weights_of(reference, "image_tower_from")
    tower = {name.removeprefix("visual."): value for name, value in weights.items() if name.startswith("visual.")}
    try:
        model.get_submodule("visual").load_state_dict(tower)
    except RuntimeError as error:
        raise RecipeError(
            f"image_tower_from: the image tower of {reference} is another architecture: {error}"
        ) from error


def _weights_of(reference: str, setting: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    # What kind of model it is shows in its weights; any kind of folder is referred to alike.
    folder = parse_reference(reference, "clip").folder
    if folder is None:
        raise RecipeError(f"{setting}: {reference} is not on this machine; name a local-dir:")
    found = sorted(Path(folder).glob("*.safetensors"))
    if not found:
        raise RecipeError(f"{setting}: {folder} has no *.safetensors")
    return dict(load_file(str(found[0])))
