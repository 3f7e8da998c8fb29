"""The program ``sphinx-nvs``: Ctrl-C at any moment, also while it starts or ends, is one word.

So is SIGTERM, which ``timeout`` and ``docker stop`` send: unfinished files are cleared away.

Threads that others left behind do not keep it from ending.
"""

import os
import signal
import sys

from sphinx_framework.cli.strays import end_in_time
from sphinx_framework.cli.streams import open_closed_streams

# As shells count it: 128 and the number of the signal.
STOPPED = 130


def program() -> int:
    """Run the command line and return its exit code; what is said is out before the exit."""
    open_closed_streams()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from sphinx_framework.cli.main import main

        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        code = STOPPED
    except ValueError:  # a plugin has closed the stream; what was written to it is out
        code = 1
    except BrokenPipeError:  # of the flush; the interpreter would flush once more and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    finally:
        # The work is done and told: interrupting the interpreter's end would be but a traceback.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    end_in_time(code)
    return code
