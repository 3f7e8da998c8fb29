import asyncio
import itertools

import pytest

from sphinx_framework.serve import journal, lifecycle, store
from sphinx_framework.serve.database import Database
from sphinx_framework.serve.tables import jobs

COUNT = itertools.count()


class Books:
    """A database, and what was published of it."""

    def __init__(self, url):
        self.url = url
        self.published = []
        self.database = Database(self.url, lambda *event: self.published.append(event))

    def run(self, work, *arguments, **named):
        async def once():
            value = await self.database.run(lambda t: work(t, *arguments, **named))
            await asyncio.sleep(0)
            return value

        return asyncio.run(once())

    def accept(self, **changes):
        number = next(COUNT)
        values = {
            "id": f"job_{number:026d}",
            "owner": "",
            "created": 1.0 + number,
            "deadline": 31.0,
            "predicted_seconds": 0.0,
            "model": "lite",
            "request": {},
            "served": {"mode": "fine", "quality": 0.9, "degraded": False},
            "scene": {"targets": 1, "height": 8, "width": 8},
            "scene_id": "procedural:demo",
            "idempotency_key": None,
            "fingerprint": "f",
            **changes,
        }
        return self.run(store.accept, values)["id"]

    def status(self, job):
        return self.run(store.require, job)["status"]

    def story(self, job):
        return self.run(journal.read, job, 0)


@pytest.fixture(params=["sqlite", "postgres"])
def books(request, tmp_path):
    if request.param == "sqlite":
        made = Books(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")
    else:
        postgres = request.getfixturevalue("postgres")
        made = Books(postgres.url)
        postgres.execute("TRUNCATE jobs, events, files, home")
    yield made
    made.database.close()


def picture(job, attempt=1, index=0, kind="preview"):
    file = {
        "name": f"coarse/{index:03d}.png",
        "media_type": "image/png",
        "bytes": 3,
        "sha256": "0" * 64,
    }
    return {"job": job, "attempt": attempt, "kind": kind, "index": index, "file": file}


def test_a_job_goes_from_accepted_to_succeeded(books):
    job = books.accept()
    assert books.status(job) == "queued"
    assert books.run(lifecycle.start, job)["attempt"] == 1
    books.run(lifecycle.tell, picture(job))
    entry = {**picture(job)["file"], "name": "video.mp4"}
    row = books.run(lifecycle.finish, job, "succeeded", None, [entry])
    assert (row["status"], row["stage"]) == ("succeeded", "done")
    assert [f["name"] for f in books.run(store.result_files, job)] == ["video.mp4"]
    assert books.run(store.file_of, job, "coarse/000.png")["bytes"] == 3


def test_event_ids_have_no_gaps_and_blocks_are_published_as_stored(books):
    job, other = books.accept(), books.accept()
    books.run(lifecycle.start, job)
    for index in range(5):
        books.run(lifecycle.tell, picture(job, index=index))
        books.run(lifecycle.start, other)
    books.run(lifecycle.finish, job, "succeeded")
    numbers = [int(block.split(b"\n")[0].removeprefix(b"id: ")) for block in books.story(job)]
    assert numbers == list(range(1, 9))
    own = [block for identity, _, block in books.published if identity == job]
    assert own == books.story(job)


def test_reading_after_an_id_continues_with_the_next(books):
    job = books.accept()
    books.run(lifecycle.start, job)
    whole = books.story(job)
    assert [books.run(journal.read, job, k) for k in range(3)] == [whole, whole[1:], []]


def test_a_cancel_that_was_accepted_always_wins(books):
    job = books.accept()
    books.run(lifecycle.start, job)
    assert books.run(store.request_cancel, "", job)["cancel_requested"] is True
    assert books.run(lifecycle.finish, job, "succeeded")["status"] == "canceled"


def test_a_queued_job_is_canceled_at_once_and_never_starts(books):
    job = books.accept()
    assert books.run(store.request_cancel, "", job)["status"] == "canceled"
    assert books.run(lifecycle.start, job) is None
    assert len(books.story(job)) == 2


@pytest.mark.parametrize("final", ["succeeded", "failed", "canceled"])
def test_final_states_never_change(books, final):
    job = books.accept()
    books.run(lifecycle.start, job)
    books.run(lifecycle.finish, job, final)
    before = books.run(store.require, job)
    books.run(store.request_cancel, "", job)
    books.run(lifecycle.finish, job, "failed")
    books.run(lifecycle.lost, job, 3)
    books.run(lifecycle.tell, picture(job))
    assert books.run(lifecycle.start, job) is None
    assert dict(books.run(store.require, job)) == dict(before)


def test_a_lost_job_runs_again_in_front_until_it_cost_too_many_workers(books):
    job = books.accept()
    for attempt in (1, 2):
        books.run(lifecycle.start, job)
        row = books.run(lifecycle.lost, job, 3)
        assert (row["status"], row["front"], row["attempt"]) == ("queued", True, attempt)
    books.run(lifecycle.start, job)
    row = books.run(lifecycle.lost, job, 3)
    assert row["status"] == "failed"
    assert row["error"]["type"].endswith("worker-lost")


def test_a_restart_of_the_server_counts_for_nothing(books):
    job = books.accept()
    for _ in range(10):
        books.run(lifecycle.start, job)
        books.run(lifecycle.requeue, job, "server-restarted", died=False)
    row = books.run(store.require, job)
    assert (row["deaths"], row["attempt"], row["status"]) == (0, 10, "queued")


def test_what_an_earlier_attempt_still_says_is_dropped(books):
    job = books.accept()
    books.run(lifecycle.start, job)
    books.run(lifecycle.lost, job, 3)
    books.run(lifecycle.start, job)
    before = books.story(job)
    books.run(lifecycle.tell, picture(job, attempt=1))
    assert books.story(job) == before


def test_jobs_of_others_do_not_exist(books):
    job = books.accept(owner="alice")
    assert books.run(store.find, "bob", job) is None
    assert books.run(store.request_cancel, "bob", job) is None
    assert books.run(store.page, "bob", status=None, limit=5, after=None) == ([], False)


def test_pages_go_back_in_time(books):
    made = [books.accept() for _ in range(5)]
    rows, more = books.run(store.page, "", status=None, limit=2, after=None)
    assert ([row["id"] for row in rows], more) == (made[:2:-1], True)
    rows, more = books.run(store.page, "", status=None, limit=3, after=rows[-1]["id"])
    assert ([row["id"] for row in rows], more) == (made[2::-1], False)


def test_a_transaction_that_fails_publishes_nothing(books):
    job = books.accept()
    books.published.clear()

    def half(transaction):
        journal.append(transaction, job, 0, "status", status="running")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        books.run(half)
    assert books.published == []
    assert len(books.story(job)) == 1


def test_removing_takes_events_files_and_key(books):
    job = books.accept(idempotency_key="k")
    books.run(lifecycle.start, job)
    books.run(lifecycle.tell, picture(job))
    assert books.run(store.remove, job) is None, "it still runs"
    books.run(lifecycle.finish, job, "succeeded")
    assert books.run(store.remove, job) == "procedural:demo"
    assert books.story(job) == []
    assert books.run(store.by_key, "", "k") is None
    assert books.run(lambda t: t.connection.execute(jobs.select()).all()) == []
