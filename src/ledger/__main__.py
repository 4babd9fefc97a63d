"""Where the program begins: ``ledger``, or ``python -m ledger``."""

import os
import signal
import sys
from io import TextIOWrapper
from typing import Final, NoReturn

MISUSED: Final = 64
"""``EX_USAGE`` of sysexits.h: no command tells by it what it found."""
BROKEN_PIPE: Final = 141
INTERRUPTED: Final = 130


def main() -> NoReturn:
    """Run the command that was asked for; what it refuses is told in sentences, not in tracebacks.

    Exit codes are each command's own; beside them 1 for a refusal, 64 for a command line that makes no sense, 130 after
    Ctrl-C and 141 when whoever read our output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows codes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    _load(sys.argv[1:])
    _run(sys.argv[1:])


def _load(words: list[str]) -> None:
    """Import what the command needs. Ctrl-C ends that at once: inside an import Python may lose an interrupt."""
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ledger.cli.commands import load

    load(words)
    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(words: list[str]) -> NoReturn:
    from cyclopts import CycloptsError

    from ledger.cli.commands import app
    from ledger.cli.refusals import explain
    from ledger.domain.errors import LedgerError

    try:
        exit_code = app(words, result_action="return_value", exit_on_error=False)
        sys.stdout.flush()  # here, where a reader that has gone is no surprise
        sys.exit(exit_code)
    except CycloptsError:  # which has said what is wrong
        sys.exit(MISUSED)
    except LedgerError as refused:
        print("\n".join(explain(refused)), file=sys.stderr)  # noqa: T201 - the command line prints
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain about the very same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)


if __name__ == "__main__":
    main()
