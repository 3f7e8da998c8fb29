"""Where worker processes run, and how they end."""

import asyncio
import logging
import os
import signal
import socket

import pytest

from sphinx_framework.serve.process import VISIBLE, LocalProcess, own_gpu


@pytest.mark.parametrize(
    ("given", "count", "seen"),
    [
        ({}, 0, [None, None, None]),
        ({}, 1, [None, None, None]),
        ({}, 2, ["0", "1", "0"]),
        ({VISIBLE: "5, 7"}, 2, ["5", "7", "5"]),
        ({VISIBLE: "GPU-a,GPU-b,GPU-c"}, 3, ["GPU-a", "GPU-b", "GPU-c"]),
        ({VISIBLE: "3"}, 1, [None, None, None]),
        ({VISIBLE: ""}, 0, [None, None, None]),
    ],
)
def test_workers_take_turns_on_the_gpus_that_the_server_may_use(given, count, seen):
    assert [own_gpu(index, given, count).get(VISIBLE) for index in range(3)] == seen


def test_a_process_that_just_ended_is_killed_without_a_word_and_keeps_its_code(caplog):
    async def one():
        ours, theirs = socket.socketpair()
        theirs.close()
        process = await asyncio.create_subprocess_exec("sleep", "60")
        made = LocalProcess(process, *await asyncio.open_connection(sock=ours))
        os.kill(process.pid, signal.SIGTERM)
        while not _is_over(process.pid):
            pass  # and meanwhile the loop cannot hear of it
        return await made.ended()

    async def many():
        return [await one() for _ in range(20)]

    with caplog.at_level(logging.WARNING):
        codes = asyncio.run(many())
    assert codes == [-signal.SIGTERM] * 20
    assert "Unknown child" not in caplog.text


def _is_over(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:  # it is not there any more
        return True


def test_each_worker_is_started_with_its_own_gpu_in_sight(monkeypatch):
    started = []

    async def start(index, environment):
        started.append((index, environment))

    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr("sphinx_framework.serve.process.visible_gpus", lambda: 2)
    monkeypatch.setattr(LocalProcess, "start", start)

    async def all_workers():
        for index in range(3):
            await LocalProcess.start_on_own_gpu(index, {"OMP_NUM_THREADS": "4"})

    asyncio.run(all_workers())
    assert [environment[VISIBLE] for _, environment in started] == ["0", "1", "0"]
    assert {environment["OMP_NUM_THREADS"] for _, environment in started} == {"4"}
