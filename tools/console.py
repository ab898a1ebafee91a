"""How the tools speak to a person: progress lines, plain messages, and errors without a traceback.

Everything here goes to stderr, so that a tool's stdout stays fit for a pipe.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
QUIET_SECONDS = 2.0
"""A step that takes no longer than this prints nothing."""


class UserError(Exception):
    """A failure that a person can act on: the message says what, where and what to do."""


def say(text: str) -> None:
    """Print one message for a person."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show `what` with its running time once it takes over two seconds; on a terminal the line counts the seconds."""
    terminal = sys.stderr.isatty()
    done = threading.Event()
    shown = threading.Event()
    started = time.monotonic()

    def show() -> None:
        wait = QUIET_SECONDS
        while not done.wait(wait):
            if terminal:
                print(f"\r{what}: {time.monotonic() - started:.0f} s ", end="", file=sys.stderr, flush=True)
            elif not shown.is_set():
                say(f"{what} ...")
            shown.set()
            wait = 1.0

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        done.set()
        thread.join()
        if shown.is_set():
            start = "\r" if terminal else ""
            say(f"{start}{what}: {outcome} {time.monotonic() - started:.0f} s")


@contextmanager
def heard(hear: Callable[[int, object], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP call `hear` in the block, except those that this process ignores.

    In the main thread: Python lets no other say so, and tells no other of a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(main: Callable[[], int | None]) -> None:
    """Run a command line program and exit: what a person can mend becomes one message and code 1, Ctrl-C code 130.

    SIGTERM ends it as Ctrl-C does, so that what it has started or caused is undone.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main() or 0
    except UserError as error:
        say(f"error: {error}")
        code = 1
    except PermissionError as error:
        if error.filename is None:
            raise
        say(
            f"error: {error.filename}: permission denied. If an earlier run as root made it, give it back (sudo chown)."
        )
        code = 1
    except KeyboardInterrupt:
        say("stopped by Ctrl-C or SIGTERM")
        code = 130
    except Exception as error:
        from pulumi import RunError  # noqa: PLC0415 (half a second, needed only here: a mistake in a stack file)

        if not isinstance(error, RunError):
            raise
        say(f"error: {error}")
        code = 1
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code)
