"""Arguments, dispatch, exit codes: 0 done, 1 failed, 2 the input was wrong, 130 stopped (Ctrl-C).

Commands import what they need when they run, so that ``--help`` and ``plugins`` load no torch.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from typing import Any

from sphinx_framework.cli.answer import only_the_answer
from sphinx_framework.cli.empty import empty_argument
from sphinx_framework.cli.examples import Help, epilog
from sphinx_framework.cli.imports import nothing_collected
from sphinx_framework.cli.serve_arguments import add_serve_commands
from sphinx_framework.cli.study_arguments import add_engine, add_study_commands
from sphinx_framework.errors import InputError, SphinxError, raised, shown
from sphinx_framework.output.saving import DEFAULT_FPS, SAVES
from sphinx_framework.version import __version__

DONE, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130
QUALITY_HELP = (
    "share to keep, (0, 1]: of full diffusion's score (rules of objective paper; 1 is full "
    "diffusion), or of the best plan's likeness to the truth (objective truth, as lite's; 1 is "
    "that plan)"
)
KINDS_HELP = "regression, diffusion, quality, mask, steps, embedder, poses or scene_reader"


class Parser(argparse.ArgumentParser):
    """Argument errors are one line and exit with 2, like every other bad input."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(BAD_INPUT, f"{self.prog}: {message}. See: {self.prog} --help\n")


Commands = argparse._SubParsersAction  # the type of add_subparsers(); argparse names it privately


def build_parser(given: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line; plugins are loaded when ``given`` begins with no command of ours."""
    parser = Parser(
        prog="sphinx-nvs",
        description="Novel view synthesis to a quality target: fast regression views, refined "
        "by diffusion where it pays.",
        epilog="Installed plugins may add commands; 'sphinx-nvs plugins' lists them.",
    )
    parser.add_argument("--version", action="version", version=f"sphinx-nvs {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    commands.required = True

    _job_commands(commands)
    add_study_commands(partial(_command, commands))
    add_serve_commands(partial(_command, commands))
    _inspection_commands(commands)
    named = next((argument for argument in given if not argument.startswith("-")), None)
    if named is not None and named not in commands.choices:
        from sphinx_framework.installed import forgiving_searches

        with forgiving_searches():
            from sphinx_framework.cli.plugin_commands import add_plugin_commands

            add_plugin_commands(partial(_command, commands))
    return parser


def function_of(run: str | Callable[[argparse.Namespace], int]) -> Callable[[Any], int]:
    """What a command runs: imported now, where it was declared as ``"module:function"``."""
    if not isinstance(run, str):
        return run
    module, function = run.split(":")
    home = module if "." in module else f"sphinx_framework.cli.{module}"
    with nothing_collected():
        command: Callable[[Any], int] = getattr(import_module(home), function)
    return command


def _job_commands(commands: "Commands[Parser]") -> None:
    demo = _command(commands, "demo", "demo:demo", "the built-in scene, built-in models")
    demo.add_argument("--scene", default="procedural:demo", help=argparse.SUPPRESS)
    demo.add_argument("--config", default="lite", help=argparse.SUPPRESS)
    _render_options(demo)
    _save_options(demo)
    demo.add_argument("--out", required=True, metavar="DIR", help="folder to write")

    render = _command(commands, "render", "render:render", "render a scene's targets")
    render.add_argument("--config", required=True, metavar="NAME|TOML")
    which = render.add_mutually_exclusive_group(required=True)
    which.add_argument("--scene", metavar="PATH")
    which.add_argument(
        "--scenes",
        nargs="+",
        metavar="DIR",
        help="folders of scenes, or scenes, each to DIR/NAME; finished ones are skipped",
    )
    _render_options(render)
    _save_options(render)
    add_engine(render)
    render.add_argument("--out", required=True, metavar="DIR", help="folder to write")

    plan = _command(commands, "plan", "render:plan", "stop before diffusion and show the plan")
    _scene_options(plan)
    _render_options(plan)
    plan.add_argument("--out", metavar="DIR", help=argparse.SUPPRESS)

    importing = _command(
        commands, "import", "import_scene:import_scene", "give photos cameras; convert scenes"
    )
    importing.add_argument("source", metavar="PATH", help="folder of photos, a video, or any scene")
    importing.add_argument("--out", required=True, metavar="DIR", help="scene folder to write")
    importing.add_argument(
        "--frames", type=int, metavar="N", help="how many frames of a video (default: 8)"
    )
    importing.add_argument(
        "--poses", metavar="NAME", help="pose estimator of photos (default: colmap)"
    )
    _reader_options(importing)
    importing.add_argument("--set", action="append", default=[], metavar="A=V", dest="overrides")
    importing.add_argument("--device", default="auto")
    importing.add_argument("--licence-policy", default="any", metavar="any|permissive")

    view = _command(commands, "view", "view:view", "look at a result in the browser")
    view.add_argument("out", metavar="OUT", help="folder that render has written")
    view.add_argument("--scene", metavar="PATH", help="its scene, to show the photos too")
    _reader_options(view)
    view.add_argument("--host", default="127.0.0.1", help="interface to listen on")
    view.add_argument("--port", type=int, default=8080, help="a free one from here on is taken")

    measure = _command(commands, "measure", "measure:measure", "measure step times on this machine")
    measure.add_argument("--config", required=True, metavar="NAME|TOML")
    measure.add_argument("--scene", default="procedural:demo", metavar="PATH")
    measure.add_argument("--out", required=True, metavar="TOML", help="cost table to write")
    measure.add_argument("--set", action="append", default=[], metavar="A.B=V", dest="overrides")
    measure.add_argument("--device", default="auto")
    measure.add_argument(
        "--sizes",
        default="",
        metavar="HxW,HxW",
        help="measure at these sizes, too, each with two targets and with all: predictions at "
        "other sizes and counts are interpolated, else proportional to pixels and frames",
    )
    measure.add_argument("--seconds", type=float, default=20.0, help="time to spend")

    warm = _command(commands, "warm", "warm:warm", "load weights, compile, serve one request")
    warm.add_argument("--config", required=True, metavar="NAME|TOML")
    warm.add_argument("--scene", metavar="PATH", help="default: a small one of random photos")
    warm.add_argument("--set", action="append", default=[], metavar="A.B=V", dest="overrides")
    warm.add_argument("--device", default="auto")
    warm.add_argument("--licence-policy", default="any", metavar="any|permissive")


def _inspection_commands(commands: "Commands[Parser]") -> None:
    plugins = _command(commands, "plugins", "plugins:plugins", "what is installed, and its state")
    plugins.add_argument("--verbose", action="store_true", help="show why plugins are broken")

    describe = _command(commands, "describe", "plugins:describe", "a component's options")
    describe.add_argument("name", metavar="NAME")
    describe.add_argument("--kind", help=KINDS_HELP)

    check = _command(commands, "check", "check:check", "the contract suite, on what is installed")
    check.add_argument("name", metavar="NAME")
    check.add_argument("--kind", help=KINDS_HELP)
    check.add_argument("--set", action="append", default=[], metavar="OPTION=V", dest="overrides")
    check.add_argument("--embedder", metavar="NAME", help="that a pipeline would hand to it")
    check.add_argument("--device", default="cpu")
    check.add_argument("--sample", metavar="PATH", help="a scene that a scene reader reads")

    new = _command(commands, "new-plugin", "new_plugin:new_plugin", "write a plugin to begin with")
    new.add_argument("name", metavar="NAME", help="lower-case letters, digits and dashes")
    new.add_argument("--kind", required=True, help=KINDS_HELP)
    new.add_argument("--out", metavar="DIR", help="default: sphinx-framework-NAME")

    _command(commands, "configs", "configs:configs", "the pipelines that come with the framework")
    schema = _command(commands, "schema", "configs:schema", "JSON Schema of a pipeline file")
    schema.add_argument("--config", metavar="NAME|TOML", help="add its components' options")
    doctor = _command(commands, "doctor", "doctor:doctor", "what works here, and what to do")
    doctor.add_argument("--device", default="auto")


def _command(
    commands: "Commands[Parser]",
    name: str,
    run: str | Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    """Declare a command; ``run``: ``"module:function"`` of this package or elsewhere, or itself."""
    command = commands.add_parser(
        name, help=summary, description=summary, epilog=epilog(name), formatter_class=Help
    )
    command.set_defaults(run=run)
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, no more")
    command.add_argument("--debug", action="store_true", help="show tracebacks and debug logs")
    return command


def _scene_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", required=True, metavar="NAME|TOML")
    command.add_argument("--scene", required=True, metavar="PATH")


def _render_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quality", type=float, metavar="Q", help=QUALITY_HELP)
    command.add_argument("--mode", metavar="M", help="coarse|fine|selective|diffusion|regression")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument(
        "--targets",
        metavar="SPEC",
        help="split, indices:3,5, interpolate:N, a .json file, or a move such as orbit:24 or "
        "dolly-in:24:distance=0.5",
    )
    _reader_options(command)
    command.add_argument("--poses", metavar="NAME", help="pose estimator of photos without cameras")
    command.add_argument("--near", type=float, metavar="Z", help="nearest depth, with --far")
    command.add_argument("--far", type=float, metavar="Z", help="farthest depth, scene units")
    command.add_argument("--size", metavar="HxW", help="of the images in pixels, as 192 or 192x256")
    command.add_argument("--set", action="append", default=[], metavar="A.B=V", dest="overrides")
    command.add_argument("--device", default="auto", metavar="D")
    command.add_argument("--memory", metavar="24GB", help="memory of the device to fit in")
    command.add_argument("--cost", metavar="TOML", help="cost table written by measure")
    command.add_argument(
        "--budget-ms", type=float, metavar="MS", help="predicted request time to stay within"
    )
    command.add_argument(
        "--budget-joules", type=float, metavar="J", help="predicted energy to stay within"
    )
    command.add_argument("--energy", metavar="METER", help="auto, zeus, nvml, rapl or none")
    command.add_argument("--licence-policy", default="any", metavar="any|permissive")


def _save_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--save",
        metavar="LIST",
        help=f"more outputs, by commas: {', '.join(SAVES)}, or all",
    )
    command.add_argument(
        "--fps", type=float, metavar="F", help=f"of the videos (default: {DEFAULT_FPS:g})"
    )


def _reader_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--reader", metavar="NAME", help="scene reader, when the choice is wrong")
    command.add_argument("--split", metavar="N", help="which train_test_split_<N>.json")
    command.add_argument(
        "--convention",
        default="auto",
        metavar="C",
        help="of the poses: opengl_c2w, opengl_w2c, opencv_c2w or opencv_w2c",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser(given)
    empty = empty_argument(given)
    if empty is not None:
        parser.error(f"{empty} is empty: give a value (is a shell variable not set?)")
    parsed = parser.parse_args(given)
    from sphinx_framework.allocator import keep_freed_memory
    from sphinx_framework.installed import forgiving_searches
    from sphinx_framework.logs import configure_logs
    from sphinx_framework.short_waits import wait_shortly

    configure_logs(parsed.debug)
    keep_freed_memory()
    wait_shortly()
    try:
        with forgiving_searches(), only_the_answer() if parsed.json else nullcontext():
            return int(function_of(parsed.run)(parsed))
    except SphinxError as error:
        if parsed.debug:
            traceback.print_exc()
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"       {error.hint}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, InputError) else FAILED
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if parsed.debug:
            traceback.print_exc()
        print(f"error: {_told(error)}", file=sys.stderr)
        return FAILED
    except Exception as error:
        if parsed.debug:
            traceback.print_exc()
        print(f"error: {_unforeseen(error)}", file=sys.stderr)
        return FAILED


def _unforeseen(error: Exception) -> str:
    """What is said of an error that nothing on the way knew; memory is full in many ways."""
    if isinstance(error, MemoryError | RuntimeError):
        from sphinx_framework.witness import out_of_memory

        if out_of_memory(error):
            return (
                "there is not enough memory for this.\n"
                "       Choose a smaller size or fewer targets, or a machine with more."
            )
    return (
        f"{raised(error)}\n"
        "       This is a bug or a failed machine; run again with --debug for the traceback."
    )


def _told(error: OSError) -> str:
    """What the file system refused, with the path."""
    place = "" if error.filename is None else f"{shown(os.fsdecode(error.filename))}: "
    return f"{place}{error.strerror or error}."
