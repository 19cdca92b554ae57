"""What the commands exit with, and the one place where errors become messages."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from enum import IntEnum
from types import FrameType

from curation.errors import CurationError, LostJobError, PlanError, RecipeError
from curation.masking import mask, mask_process

logger = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    ERROR = 1
    WRONG_INPUT = 2
    QUARANTINED = 3
    LOST = 4
    INTERRUPTED = 130


def exit_code_of(command: Callable[[], int]) -> int:
    """Runs a command; known errors become a message on standard error and their exit code.

    Nothing that the process says from here on, its logs and its last traceback among it, shows a secret.

    SIGTERM ends a run like Ctrl-C does: what is committed stays, what is not is left. Runners finish what is in work
    before (`curation/runtime/notice_to_end.py`).
    """
    mask_process()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = int(command())
        # Here, not at exit, where nobody could tell that a reader such as `head` has gone.
        sys.stdout.flush()
        return code
    except (RecipeError, PlanError) as error:
        sys.stderr.write(f"{mask(str(error))}\n")
        return ExitCode.WRONG_INPUT
    except LostJobError as error:
        sys.stderr.write(f"{mask(str(error))}\n")
        return ExitCode.LOST
    except CurationError as error:
        sys.stderr.write(f"{type(error).__name__}: {mask(str(error))}\n")
        return ExitCode.ERROR
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything committed is kept, the same command goes on from there\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
