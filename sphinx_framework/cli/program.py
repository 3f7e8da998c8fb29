"""The program ``sphinx-nvs``: Ctrl-C at any moment, also while it starts or ends, is one word."""

import os
import signal
import sys

STOPPED = 1


def program() -> int:
    """Run the command line and return its exit code; what is said is out before the exit."""
    try:
        from sphinx_framework.cli.main import main

        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        code = STOPPED
    except BrokenPipeError:  # of the flush; the interpreter would flush once more and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = STOPPED
    finally:
        # The work is done and told: interrupting the interpreter's end would be but a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code
