"""``sphinx-nvs view OUT``: a finished result in the browser."""

import io
import socket
from argparse import Namespace
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

from sphinx_framework.cli.answer import print_json
from sphinx_framework.errors import ConfigError
from sphinx_framework.texts import counted

LARGEST_PORT = 65535


def view(arguments: Namespace) -> int:
    """Serve the viewer until it is stopped."""
    if find_spec("viser") is None:
        raise ConfigError(
            "view: the package viser is not installed.",
            hint="Run: pip install 'sphinx-framework[view]'",
        )
    if not 1 <= arguments.port <= LARGEST_PORT:
        raise ConfigError(f"--port must lie in 1..{LARGEST_PORT}, got {arguments.port}.")
    from sphinx_framework.view.folder import read_result

    reading = {name: getattr(arguments, name) for name in ("reader", "split", "convention")}
    result = read_result(Path(arguments.out).expanduser(), arguments.scene, **reading)
    import viser

    from sphinx_framework.view.contained import contained
    from sphinx_framework.view.panel import Panel
    from sphinx_framework.view.space import build_space

    _listenable(arguments.host)
    # A banner that repeats the line below is not shown.
    with redirect_stdout(io.StringIO()), contained(arguments.host):
        server = viser.ViserServer(host=arguments.host, port=arguments.port, verbose=False)
    try:
        panel = Panel(server, result, build_space(server, result))
        url = f"http://{arguments.host}:{server.get_port()}"
        if arguments.json:
            print_json({"url": url, "frames": len(result.frames)})
        else:
            print(f"{counted(len(result.frames), 'frame')} at {url} (Ctrl-C ends it)", flush=True)
            if result.inputs_note:
                print(f"note: {result.inputs_note}", flush=True)
        panel.play()
    finally:
        server.stop()
    return 0


def _listenable(host: str) -> None:
    """Refuse an address that is not this machine's: the viewer would wait for it for ever."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(address)
    except OSError as error:
        raise ConfigError(
            f"--host {host}: cannot be listened on: {error.strerror or error}.",
            hint="Use an address of this machine, as 127.0.0.1 or 0.0.0.0.",
        ) from None
