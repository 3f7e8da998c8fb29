"""Which worker does what next: preparations first, then the earliest deadline."""

import time
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.serve.placing import AHEAD_SECONDS, next_task
from sphinx_framework.serve.predict import Work
from sphinx_framework.serve.queue import Job, Queue

LONG_AGO = time.monotonic() - AHEAD_SECONDS - 1


@dataclass
class Place:
    index: int = 0
    ready: bool = True
    preparing: Job | None = None
    refining: dict[str, Job] = field(default_factory=dict)
    stepping: bool = False
    scenes: tuple[str, ...] = ()


def job(name, deadline=1.0, **facts):
    return Job(name, (True, deadline, 0), Work("fine", 1, 1), 1.0, **facts)


def queue_of(queued=(), prepared=()):
    queue = Queue(1)
    queue.queued = {j.identity: j for j in queued}
    queue.prepared = {j.identity: j for j in prepared}
    return queue


def chosen(workers, queue, batch=1, **rest):
    task = next_task(workers, queue, batch, **rest)
    return task and (task.worker, task.job.identity, task.stage)


def test_a_short_queue_goes_on_with_what_is_most_urgent():
    queue = queue_of([job("next", 2)], [job("ready", 1)])
    assert chosen([Place()], queue) == (0, "ready", "refine")


def test_who_has_waited_gets_its_views_before_others_are_refined():
    queue = queue_of([job("waits", 2, since=LONG_AGO)], [job("ready", 1)])
    assert chosen([Place()], queue) == (0, "waits", "prepare")


def test_a_worker_between_two_steps_prepares_who_has_waited():
    busy = Place(refining={"a": job("a")}, stepping=True)
    assert chosen([busy], queue_of([job("waits", since=LONG_AGO)])) == (0, "waits", "prepare")
    assert chosen([busy], queue_of([job("fresh")])) is None
    busy.stepping = False  # nothing was heard of it: it may hang
    assert chosen([busy], queue_of([job("waits", since=LONG_AGO)])) is None


def test_a_prepared_job_is_refined_where_it_was_prepared():
    queue = queue_of(prepared=[job("a", 1, holder=1)])
    assert chosen([Place(0), Place(1)], queue) == (1, "a", "refine")
    busy = Place(1, refining={"b": job("b")})
    assert chosen([Place(0), busy], queue) == (0, "a", "refine"), "rather elsewhere than later"


def test_a_job_goes_to_the_worker_that_has_its_scene():
    queue = queue_of([job("a", scene="s")])
    assert chosen([Place(0), Place(1, scenes=("s",))], queue) == (1, "a", "prepare")


def test_a_job_that_lost_a_worker_runs_alone():
    suspect = job("s", suspect=True)
    busy = Place(0, refining={"b": job("b")})
    assert chosen([busy], queue_of([suspect, job("z", 9)]), 4) is None, "room is kept for it"
    assert chosen([busy, Place(1)], queue_of([suspect]), 4) == (1, "s", "prepare")
    alone = Place(0, refining={"s": suspect})
    assert chosen([alone], queue_of([job("a")]), 4) is None


def test_a_batch_takes_jobs_while_there_is_room():
    busy = Place(0, refining={"b": job("b")})
    assert chosen([busy], queue_of([job("a")]), 2) == (0, "a", "prepare")
    assert chosen([busy], queue_of([job("a")]), 1) is None


def test_a_stopping_server_begins_nothing_but_ends_what_it_has_begun():
    queue = queue_of([job("a")], [job("b")])
    assert chosen([Place()], queue, stopping=True) == (0, "b", "refine")


@given(
    st.lists(st.tuples(st.floats(0, 9), st.booleans(), st.booleans()), max_size=8),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_whoever_can_be_served_is_served_until_nothing_is_left(jobs, count, batch):
    """Every job is prepared once, then refined once, and no worker has more than it may."""
    workers = [Place(i) for i in range(count)]
    made = [
        job(str(i), deadline, suspect=suspect, **({"since": LONG_AGO} if old else {}))
        for i, (deadline, suspect, old) in enumerate(jobs)
    ]
    queue, story = queue_of(made), []
    for _ in range(20 * len(made) + 1):
        task = next_task(workers, queue, batch)
        if task is None:
            busy = next((w for w in workers if w.refining), None)
            if busy is None:
                break
            queue.remove(busy.refining.popitem()[0])
            continue
        worker = workers[task.worker]
        story.append((task.stage, task.job.identity))
        queue.take(task.job)
        if task.stage == "prepare":
            task.job.holder = worker.index
            queue.prepared[task.job.identity] = queue.at_work.pop(task.job.identity)
        else:
            worker.refining[task.job.identity] = task.job
            assert len(worker.refining) <= batch
            assert len(worker.refining) == 1 or not any(j.suspect for j in worker.refining.values())
    assert not queue.queued
    assert not queue.prepared
    for name in (j.identity for j in made):
        assert [stage for stage, who in story if who == name] == ["prepare", "refine"]
