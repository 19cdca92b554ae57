"""What commands answer as JSON documents."""

import json

from jobs.cli import main


def document(capsys, *arguments):
    """The document that a command prints when it succeeds."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)
