"""Checkpoint files from the Hugging Face hub, at a known commit.

The hub's client is a dependency of the plugins that use it, imported when a file is asked for.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sphinx_framework.errors import WeightsError
from sphinx_framework.logs import get_logger

COMMIT_LENGTH = 40
# To answer at all; a download takes as long as it takes.
ANSWER_SECONDS = 10.0
PATH_HINT = "Or give the path of a downloaded file instead."


def hub_file(
    repo: str,
    filename: str,
    *,
    revision: str | None,
    what: str,
    endpoint: str | None = None,
    hint: str = PATH_HINT,
) -> Path:
    """Path of a hub file in the local cache, downloaded if need be.

    The access token is the hub client's own (environment or login). A revision that is not a
    commit may change under the user's feet: a warning names the commit that it stands for now.

    Args:
        repo: ``owner/name``.
        filename: within the repository.
        revision: commit, branch or tag; none is the default branch.
        what: the checkpoint's name in messages.
        endpoint: address of a mirror of the hub.
        hint: how to do without the hub, appended to every hint.

    Raises:
        WeightsError: the file cannot be had; the hint says what to do.
    """
    named = f"{what}: {filename!r} of the hub repository {repo!r}"
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise WeightsError(
            f"{named} needs the package huggingface_hub, which cannot be imported: {error}.",
            hint=f"pip install huggingface_hub. {hint}",
        ) from error
    try:
        with _quiet_client():
            # Without a network the client would ask six times, for half a minute.
            cached = _is_cached(repo, filename, revision)
            here = cached or not _answers(endpoint)
            path = Path(
                hf_hub_download(
                    repo, filename, revision=revision, endpoint=endpoint, local_files_only=here
                )
            )
    except GatedRepoError as error:
        raise WeightsError(
            f"{named} is gated.",
            hint="Accept the licence on the repository's page, then run `hf auth login` "
            f"(formerly `huggingface-cli login`) or set HF_TOKEN. {hint}",
        ) from error
    except LocalEntryNotFoundError as error:
        raise WeightsError(
            f"{named} is not on this machine, and the hub cannot be reached.",
            hint=f"Check the connection and HF_HUB_OFFLINE. {hint}",
        ) from error
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise WeightsError(
            f"{named} does not exist there, or is private (revision {revision or 'main'}).",
            hint=f"Check repository, file and revision; private ones need HF_TOKEN. {hint}",
        ) from error
    except Exception as error:  # the hub client and its HTTP library raise many kinds
        raise WeightsError(
            f"{named} could not be downloaded: {type(error).__name__}: {first_line(error)}",
            hint=hint,
        ) from error
    commit = commit_of(path)
    if commit is not None and commit != revision:
        get_logger("weights").warning(
            "not pinned to a commit: give it as the revision to keep it",
            repo=repo,
            file=filename,
            revision=revision or "default branch",
            commit=commit,
        )
    return path


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Without the client's lines about its own retries; what fails in the end is an error here."""
    log = logging.getLogger("huggingface_hub")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _is_cached(repo: str, filename: str, revision: str | None) -> bool:
    """Whether a file at a commit is here; what a branch stands for, only the hub can tell."""
    from huggingface_hub import try_to_load_from_cache

    if revision is None or len(revision) != COMMIT_LENGTH:
        return False
    return isinstance(try_to_load_from_cache(repo, filename, revision=revision), str)


def _answers(endpoint: str | None) -> bool:
    """Whether the hub, or its mirror, answers anything: one request, by the client's own means."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    try:
        get_session().head(endpoint or constants.ENDPOINT, timeout=ANSWER_SECONDS)
    except Exception:  # no connection, no such host, offline by choice: the cache is asked alone
        return False
    return True


def commit_of(path: Path) -> str | None:
    """Commit that a file in the hub's local cache belongs to, which its folder is named after."""
    parts = path.parts
    if "snapshots" not in parts:
        return None
    commit = parts[parts.index("snapshots") + 1]
    return commit if len(commit) == COMMIT_LENGTH else None


def first_line(error: Exception) -> str:
    """What an error says, without the pages that some libraries append."""
    return (str(error).splitlines() or [""])[0]
