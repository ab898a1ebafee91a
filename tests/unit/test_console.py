"""How a command line program ends."""

import sys
from subprocess import PIPE, Popen

import pytest

from tools.console import UserError, run
from tools.synth import ROOT


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Exit code and words of a program that ends with this error."""

    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        run(main)
    return caught.value.code, capsys.readouterr().err


def test_what_a_person_can_mend_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(UserError("free the port"), capsys) == (1, "error: free the port\n")
    assert ended(KeyboardInterrupt(), capsys) == (130, "stopped by Ctrl-C or SIGTERM\n")


def test_a_file_that_an_earlier_run_as_root_left_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, words = ended(PermissionError(13, "Permission denied", "/cache/go.lock"), capsys)
    assert code == 1
    assert words.startswith("error: /cache/go.lock: permission denied. If an earlier run as root made it, give it back")


def test_a_mistake_of_the_program_shows_where_it_is() -> None:
    def main() -> None:
        raise PermissionError("not about a file")

    with pytest.raises(PermissionError):
        run(main)


WAITS = """
import time
from tools.console import run, say

def main():
    try:
        print("begun", flush=True)
        time.sleep(600)
    finally:
        say("undone")

run(main)
"""


def test_what_was_begun_is_undone_when_the_program_is_told_to_end() -> None:
    with Popen([sys.executable, "-c", WAITS], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "begun\n"
        program.terminate()
        _, said = program.communicate(timeout=60)
    assert (program.returncode, said) == (130, "undone\nstopped by Ctrl-C or SIGTERM\n")
