"""The reference pages say what the code says now."""

from jobs import reference


def test_pages_are_up_to_date_when_the_code_has_changed():
    # If this fails: `python -m jobs.reference`.
    assert reference.main(["--check"]) == 0


def test_every_step_has_its_settings_when_the_page_is_made():
    page = reference.pages()["steps.md"]

    assert "### score_alignment" in page
    assert "| `precision` | `fp32` \\| `bf16` \\| `fp16` | `fp32` | Of weights and arithmetic. |" in page
    assert "| `model` | text | **required** |" in page


def test_setting_is_marked_when_no_fingerprint_has_it():
    rows = reference.pages()["steps.md"].splitlines()

    marked = {row.split("`")[1] for row in rows if row.endswith("*Tuning.* |")}

    assert {"batch_size", "concurrency", "max_workers"} <= marked
    assert marked.isdisjoint({"min_words", "model", "max_distance", "part_rows"})
    # Fingerprints have this one unless it is at its default.
    assert "targets" not in marked


def test_bound_is_written_out_when_a_setting_has_one():
    page = reference.pages()["steps.md"]

    assert "| `quality` | whole number, ≥ 1, ≤ 100 | `95` |" in page
    assert "| `max_distance` | whole number, ≥ 0, ≤ 47 | `31` |" in page
