import sys
from pathlib import Path

import pytest

from jobs.bench.process_tree import cost_of

BURN = "import time\nend = time.process_time() + 2.0\nwhile time.process_time() < end: pass"
IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
LEFT_BEHIND = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}], start_new_session=True)"


@pytest.mark.parametrize("program", [BURN, IN_A_CHILD, LEFT_BEHIND], ids=["itself", "child", "left-behind"])
def test_processor_time_is_counted_when_any_process_of_a_command_uses_it(program: str, tmp_path: Path):
    cost = cost_of([sys.executable, "-c", program], tmp_path, {}, tmp_path / "log.txt")

    # Up to 0.3 s of each process is missed, and interpreters start in less than one second.
    assert 1.65 <= cost.cpu_s <= 3.5


def test_failure_names_the_log_when_a_command_fails(tmp_path: Path):
    log = tmp_path / "log.txt"

    with pytest.raises(RuntimeError, match=r"log\.txt"):
        cost_of([sys.executable, "-c", "raise SystemExit('broken')"], tmp_path, {}, log)

    assert "broken" in log.read_text()
