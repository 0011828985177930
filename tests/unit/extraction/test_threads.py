"""Work beside the caller: results and errors come back, the end waits, and what was not begun can be left out.

That it goes on once the main thread has ended is tested in test_ends_of_programs.py.
"""

import threading

import pytest

from vidrnn.extraction.threads import Threads


def test_results_and_errors_come_back_and_the_end_waits_for_all() -> None:
    threads, done = Threads(1, "test"), list[int]()
    handed = [threads.submit(lambda number=number: done.append(number) or number) for number in range(9)]
    failed = threads.submit(lambda: 1 // 0)
    threads.end()
    assert done == [future.result(timeout=0) for future in handed] == list(range(9))
    with pytest.raises(ZeroDivisionError):
        failed.result(timeout=0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test_")]


def test_what_was_not_begun_can_be_left_out() -> None:
    threads, begun, go_on = Threads(1, "test"), threading.Event(), threading.Event()
    first = threads.submit(lambda: (begun.set(), go_on.wait(60)))
    others = [threads.submit(lambda: None) for _ in range(3)]
    assert begun.wait(60)
    ending = threading.Thread(target=threads.end, kwargs={"cancel": True})
    ending.start()
    while not all(future.cancelled() for future in others):
        ending.join(0.01)
    assert ending.is_alive()
    go_on.set()
    ending.join()
    assert first.result(timeout=0) == (None, True)
