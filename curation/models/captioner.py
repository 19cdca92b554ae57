"""Loads image captioners through the Auto classes of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.errors import RecipeError
from curation.models.references import parse_reference

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True)
class LoadedCaptioner:
    """A captioner ready to describe images.

    Attributes:
        model: a transformers model in evaluation mode that has `generate`.
        processor: makes its inputs and decodes its tokens.
        device: where it is.
    """

    model: Any
    processor: Any
    device: str

    def generate(
        self,
        images: Sequence[Image],
        prompt: str | None = None,
        max_new_tokens: int = 40,
        num_beams: int = 1,
    ) -> list[tuple[str, float]]:
        """Describes images, always the same way for the same images.

        Args:
            images: RGB.
            prompt: the beginning of the caption or, for a chat model, the request.
            max_new_tokens: the most tokens to say.
            num_beams: 1 is greedy.

        Returns:
            For each image its caption, without the prompt, and the mean log-probability of its
            tokens (0 is certain).
        """
        import torch

        if not images:
            return []
        inputs = self._inputs(list(images), prompt).to(self.device)
        wanted = next(self.model.parameters()).dtype
        if inputs["pixel_values"].is_floating_point():
            inputs["pixel_values"] = inputs["pixel_values"].to(wanted)
        with torch.inference_mode():
            made = self.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                num_beams=num_beams,
                do_sample=False,
                return_dict_in_generate=True,
                output_scores=True,
                output_logits=num_beams == 1,
            )
        said = made.sequences[:, -_steps(made) :]
        texts = self.processor.batch_decode(said, skip_special_tokens=True)
        scores = _mean_log_probability(made, said, self._padding())
        return [(" ".join(text.split()), score) for text, score in zip(texts, scores, strict=True)]

    def _inputs(self, images: list[Image], prompt: str | None) -> Any:
        if getattr(self.processor, "chat_template", None):
            request = {"type": "text", "text": prompt or "Describe this image in one sentence."}
            talks = [[{"role": "user", "content": [{"type": "image", "image": image}, request]}] for image in images]
            return self.processor.apply_chat_template(
                talks,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                padding=True,
            )
        inputs = self.processor(images=images, return_tensors="pt")
        if not prompt:
            return inputs
        if self.model.config.is_encoder_decoder:
            # The decoder goes on from the prompt; the end that the tokenizer adds is taken off.
            ids = self.processor.tokenizer([prompt], return_tensors="pt").input_ids[:, :-1]
            inputs["decoder_input_ids"] = ids.repeat(len(images), 1)
            return inputs
        return self.processor(images=images, text=[prompt] * len(images), return_tensors="pt")

    def _padding(self) -> int | None:
        tokenizer = getattr(self.processor, "tokenizer", None)
        return getattr(tokenizer, "pad_token_id", None)


def load_captioner(text: str, device: str = "cpu", revision: str | None = None) -> LoadedCaptioner:
    """Loads the captioner of a reference; code that comes with a model is never run.

    Args:
        text: see `curation.models.references`.
        device: such as `cpu` or `cuda`; on a CPU weights become float32.
        revision: a commit or tag of the hub; None takes the newest.

    Raises:
        RecipeError: if the reference has no known form or its model cannot caption images.
    """
    import torch
    from transformers import AutoProcessor

    reference = parse_reference(text, "captioner")
    local = reference.scheme == "local-dir"
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": local}
    if revision is not None and not local:
        options["revision"] = revision
    load_processor: Any = AutoProcessor.from_pretrained
    dtype = torch.float32 if device == "cpu" else "auto"
    try:
        processor = load_processor(reference.name, **options)
        model = _load_model(text, reference.name, {**options, "dtype": dtype})
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise RecipeError(
            f"model {text!r}: comes with code of its own, which is never run; take one whose architecture "
            "the installed transformers has"
        ) from error
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is not None and getattr(processor, "chat_template", None):
        # What is generated follows the prompt, so prompts have to end together.
        tokenizer.padding_side = "left"
    return LoadedCaptioner(model=model.to(device).eval(), processor=processor, device=device)


def _load_model(text: str, name: str, options: dict[str, Any]) -> Any:
    """Tries the Auto classes under which transformers keeps captioners."""
    from transformers import AutoModelForImageTextToText, AutoModelForMultimodalLM

    refusals = []
    for family in (AutoModelForImageTextToText, AutoModelForMultimodalLM):
        try:
            return family.from_pretrained(name, **options)
        except ValueError as error:
            if "Unrecognized configuration class" not in str(error):
                raise
            refusals.append(family.__name__)
    raise RecipeError(f"model {text!r}: not a captioner that transformers knows ({', '.join(refusals)})")


def _steps(made: Any) -> int:
    """Returns how many tokens were generated for the longest text."""
    if made.beam_indices is None if "beam_indices" in made else True:
        return len(made.scores)
    return int((made.beam_indices >= 0).sum(dim=1).max())


def _mean_log_probability(made: Any, said: torch.Tensor, padding: int | None) -> list[float]:
    import torch

    if made.get("sequences_scores") is not None:
        # Beam search's own score is the mean already, its length penalty being 1.
        return [float(score) for score in made.sequences_scores]
    per_step = torch.stack([step.float().log_softmax(dim=-1) for step in made.logits], dim=1)
    chosen = per_step.gather(2, said[..., None]).squeeze(2)
    spoken = torch.ones_like(chosen) if padding is None else (said != padding).float()
    means = (chosen * spoken).sum(dim=1) / spoken.sum(dim=1).clamp(min=1)
    return [float(mean) for mean in means]
