"""The page of docs/ that describes every preset, made from the headers of their files."""

from __future__ import annotations

from jobs.presets import load_preset, preset_names

MADE = "<!-- Made by `python -m jobs.reference`. Change the code, not this page. -->\n"
_USE = """A preset is a whole recipe for a selection that was published: it names the paper, says where each threshold
comes from, where it departs from the paper and what it leaves out. Save it, put in your list of URLs and your contact,
look at it, run it:

```bash
curation recipes show datacomp_basic > my-recipe.yaml
curation plan my-recipe.yaml
curation run my-recipe.yaml --out runs/mine
```

Every threshold can be moved and the recipe run again into the same folder; see [deciding-again.md](deciding-again.md)
for what that repeats. No preset measures with the embedded models, which know drawn scenes alone: the first run
downloads the models that it names.
"""


def presets_page() -> str:
    """The page as Markdown."""
    presets = [load_preset(name) for name in preset_names()]
    lines = ["# Published selections as recipes", "", MADE, _USE, "| preset | selects |", "| --- | --- |"]
    lines += [f"| [`{preset.name}`](#{preset.name}) | {preset.title} |" for preset in presets]
    for preset in presets:
        lines += ["", f"## {preset.name}", "", f"{preset.title[0].upper()}{preset.title[1:]}.", ""]
        lines += [f"- **Paper:** {preset.paper}", f"- **Thresholds:** {preset.thresholds}"]
        lines += [f"- **Departs:** {preset.departs}"] if preset.departs else []
        lines += [f"- **Left out:** {preset.left_out}"] if preset.left_out else []
    return "\n".join(lines) + "\n"
