"""Where the program begins: ``ledger``, or ``python -m ledger``."""

import os
import sys
from io import TextIOWrapper
from typing import NoReturn

from ledger.cli.commands import app
from ledger.cli.refusals import explain
from ledger.domain.errors import LedgerError

BROKEN_PIPE = 141
INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command that was asked for; what it refuses is told in sentences, not in tracebacks.

    Exit codes are each command's own; beside them 1 for a refusal, 130 after Ctrl-C (mostly by cyclopts) and 141 when whoever read
    our output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows codes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        exit_code = app(result_action="return_value")
        sys.stdout.flush()  # here, where a reader that has gone is no surprise
        sys.exit(exit_code)
    except LedgerError as refused:
        print("\n".join(explain(refused)), file=sys.stderr)  # noqa: T201 - the command line prints
        sys.exit(1)
    except KeyboardInterrupt:  # while a command was still being loaded
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain about the very same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)


if __name__ == "__main__":
    main()
