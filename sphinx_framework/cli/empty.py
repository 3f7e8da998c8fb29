"""Arguments without a text, as of a shell variable that is not set: a path of none means "here"."""

from collections.abc import Sequence


def empty_argument(given: Sequence[str]) -> str | None:
    """Whose argument is empty or blank, as ``--scene``; ``None`` where all of them say something.

    No option of ours means anything by an empty text. Those of plugins' commands may.
    """
    from sphinx_framework.plugin import OWN_COMMANDS  # not at the start: --help is to be quick

    command = next((argument for argument in given if not argument.startswith("-")), "")
    if command.strip() and command not in OWN_COMMANDS:
        return None
    option = ""
    for argument in given:
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            option = name
            if equals and not value.strip():
                return option
        elif not argument.strip():
            return option or (f"an argument of {command}" if command.strip() else "the command")
    return None
