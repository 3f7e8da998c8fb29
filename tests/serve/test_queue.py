import pytest
from hypothesis import given
from hypothesis import strategies as st

from sphinx_framework.serve.predict import Predictor, Work
from sphinx_framework.serve.queue import Job, Queue, most_urgent

WORK = Work("fine", 4, 96 * 96)


def job(name, deadline, *, front=False, number=0, predicted=0.0):
    return Job(name, (not front, deadline, number), WORK, predicted)


def queue_of(*jobs, workers=1):
    queue = Queue(workers)
    queue.queued = {job.identity: job for job in jobs}
    return queue


def test_the_earliest_deadline_is_first_and_interrupted_jobs_before_all():
    queue = queue_of(job("late", 9), job("soon", 5), job("lost", 99, front=True))
    order = []
    while first := most_urgent(queue.queued):
        queue.take(first)
        order.append(first.identity)
    assert order == ["lost", "soon", "late"]


def test_equal_deadlines_keep_the_order_of_acceptance():
    jobs = [job("b", 5, number=2), job("a", 5, number=1)]
    assert most_urgent(queue_of(*jobs).queued).identity == "a"


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=30), st.floats(0, 1000))
def test_an_old_job_cannot_be_overtaken_forever(deadlines, own):
    """Jobs accepted after the own deadline come later, however many there are."""
    later = [job(str(i), own + 1 + deadline) for i, deadline in enumerate(deadlines)]
    assert most_urgent(queue_of(*later, job("own", own)).queued).identity == "own"


def test_places_and_waits_follow_the_order():
    queue = queue_of(job("a", 1, predicted=4.0), job("b", 2, predicted=2.0), workers=2)
    assert queue.place("a") == {"position": 0, "predicted_wait_seconds": 0.0}
    assert queue.place("b") == {"position": 1, "predicted_wait_seconds": 2.0}
    assert queue.wait_seconds() == pytest.approx(3.0)


def test_predictions_scale_with_targets_and_pixels():
    predictor = Predictor()
    assert predictor.seconds(WORK) == 0.0, "nothing is known before the first job"
    predictor.observe(WORK, 2.0)
    assert predictor.seconds(Work("fine", 8, 96 * 96)) == pytest.approx(4.0)
    assert predictor.seconds(Work("fine", 4, 48 * 96)) == pytest.approx(1.0)


def test_predictions_prefer_jobs_of_the_same_mode():
    predictor = Predictor()
    predictor.observe(WORK, 2.0)
    predictor.observe(Work("regression", 4, 96 * 96), 0.1)
    assert predictor.seconds(WORK) == pytest.approx(2.0)
    assert predictor.seconds(Work("coarse", 4, 96 * 96)) == pytest.approx(1.05)


def test_only_the_last_twenty_jobs_count():
    predictor = Predictor()
    for _ in range(30):
        predictor.observe(WORK, 9.0)
    for _ in range(20):
        predictor.observe(WORK, 1.0)
    assert predictor.seconds(WORK) == pytest.approx(1.0)


def test_a_deadline_of_the_clients_own_counts_from_acceptance():
    predictor = Predictor()
    assert predictor.deadline(100.0, WORK, 2500) == 102.5
    assert predictor.deadline(100.0, WORK, None) == 130.0


def test_a_plans_seconds_are_taken_at_the_pace_of_the_last_jobs():
    predictor = Predictor()
    assert predictor.at_pace(2.0) == 2.0
    for taken in (3.0, 6.0, 90.0):
        predictor.compare(1.0, taken)
    assert predictor.at_pace(2.0) == 12.0, "one job that was held up changes little"
    predictor.compare(0.0, 5.0)
    predictor.compare(5.0, 0.0)
    assert predictor.at_pace(2.0) == 12.0, "what is not known says nothing"
    for _ in range(20):
        predictor.compare(1.0, 1.5)
    assert predictor.at_pace(2.0) == 3.0
