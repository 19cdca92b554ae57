"""The texts of the embedded models' cards."""

from collections.abc import Mapping

_COMMAND = "make sandbox-models"

_CLIP = """# embedded:clip

A small dual encoder for the sandbox's scenes, so that the pipeline runs offline. It knows a dozen shapes in eleven
colours, nothing else: for photographs name a real model in the recipe.

- **Model**: open_clip's `CLIP`; a ModifiedResNet of width 16 for 64 x 64 pixels and a text transformer of 3 layers of
  width 128; 2.4 M parameters, 128 dimensions, weights in float16. Read it with open_clip's `local-dir:` form.
- **Texts**: the WordPiece tokenizer in this folder, lower-casing, 32 tokens; any text can be spelled.
- **Made by**: `{command}` (`python -m jobs.sandbox.make_models`), this project's own trainer: {singles} steps of 128
  on 24,000 scenes with one object, then {scenes} steps on 60,000 scenes with one to four. Contrastive loss; for each
  picture one more text with a colour or shape wrong (or gibberish) as a wrong answer.
- **Data**: drawn by this repository's program, seeds 100,000,000 to 199,999,999. Sandbox webs use the seeds below,
  evaluations those above.
- **License**: Apache-2.0, as the project; no data of others went into it.

## Held-out figures

1,000 scenes of seeds that were not trained on, drawn at 320 to 799 pixels, cropped, compressed as JPEG, and reduced.

| figure | value | has to be |
| --- | --- | --- |
| R@1 of 100, image to text | {i2t_r1:.3f} | 0.85 |
| R@1 of 100, text to image | {t2i_r1:.3f} | 0.85 |
| AUC, own caption against another picture's | {mismatch_auc:.4f} | 0.98 |
| AUC, own caption against the same with one thing wrong | {half_right_auc:.3f} | |
| AUC, own caption against gibberish | {gibberish_auc:.4f} | |
| zero-shot accuracy, one object, 132 classes | {zero_shot_top1:.3f} | |

| score (cosine) | 1 % | 5 % | 50 % | 95 % | 99 % |
| --- | --- | --- | --- | --- | --- |
| of own captions | {right_score_q01:.3f} | {right_score_q05:.3f} | {right_score_q50:.3f} | | |
| of other pictures' captions | | | {mismatch_score_q50:.3f} | {mismatch_score_q95:.3f} | {mismatch_score_q99:.3f} |
"""

_CAPTIONER = """# embedded:captioner

A small captioner for the sandbox's scenes, so that the pipeline runs offline. It says what shapes a scene shows, in
one fixed form from left to right; for photographs name a real model in the recipe.

- **Model**: transformers' `VisionEncoderDecoderModel`: a timm XCiT of 4 layers of width 128 for 64 x 64 pixels and a
  BERT decoder of 3 layers of width 128; 2.0 M parameters, weights in float16. Read it with `from_pretrained`.
- **Made by**: `{command}` (`python -m jobs.sandbox.make_models`), this project's own trainer: {steps} steps of 64 on
  84,000 scenes.
- **Data**: drawn by this repository's program, seeds 100,000,000 to 199,999,999. Sandbox webs use the seeds below,
  evaluations those above.
- **License**: Apache-2.0, as the project; no data of others went into it.

## Held-out figures

1,000 scenes of seeds that were not trained on, drawn at 320 to 799 pixels, cropped, compressed as JPEG, and reduced;
greedy decoding.

| figure | value | has to be |
| --- | --- | --- |
| captions that name exactly the (colour, shape) pairs shown | {exact_pairs:.3f} | 0.90 |
| captions right to the letter: sizes, textures, order, background too | {identical:.3f} | |
"""


def clip_card(figures: Mapping[str, float], singles: int, scenes: int) -> str:
    """Returns the card of the embedded dual encoder.

    Args:
        figures: as `measure_clip` returns them.
        singles: steps on scenes with one object.
        scenes: steps on all kinds of scenes.
    """
    return _CLIP.format(command=_COMMAND, singles=f"{singles:,}", scenes=f"{scenes:,}", **figures)


def captioner_card(figures: Mapping[str, float], steps: int) -> str:
    """Returns the card of the embedded captioner.

    Args:
        figures: as `measure_captioner` returns them.
        steps: of its training.
    """
    return _CAPTIONER.format(command=_COMMAND, steps=f"{steps:,}", **figures)
