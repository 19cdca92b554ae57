"""Starts a training from the weights of an exported model."""

from pathlib import Path

from torch import nn

from curation.errors import RecipeError


def load_start(model: nn.Module, folder: Path) -> None:
    """Copies the weights of an exported model of the same architecture.

    Args:
        model: changed.
        folder: as `train` exports it.

    Raises:
        RecipeError: if there are no weights, or they are of another architecture.
    """
    from safetensors.torch import load_file

    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise RecipeError(f"start_from: {folder} has no *.safetensors")
    weights = load_file(str(found[0]))
    own = model.state_dict(keep_vars=True)
    tied = {value.data_ptr() for name, value in own.items() if name in weights}
    missing = [name for name, value in own.items() if name not in weights and value.data_ptr() not in tied]
    try:
        result = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise RecipeError(f"start_from: {folder} is another architecture: {error}") from error
    if missing or result.unexpected_keys:
        names = ", ".join([*missing, *result.unexpected_keys][:5])
        raise RecipeError(f"start_from: {folder} is another architecture ({names})")
