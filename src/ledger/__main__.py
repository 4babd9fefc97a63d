"""Where the program begins: ``ledger``, or ``python -m ledger``."""

import os
import sys
from io import TextIOWrapper
from typing import NoReturn

from ledger.cli.commands import app
from ledger.cli.refusals import explain
from ledger.domain.errors import LedgerError

INTERRUPTED = 130
BROKEN_PIPE = 141


def main() -> NoReturn:
    """Run the command that was asked for; what it refuses is told in sentences, not in tracebacks.

    Exit codes are each command's own; beside them 1 for a refusal, 130 after Ctrl-C and 141 when whoever read
    our output has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet shows codes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app(result_action="return_value"))
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
