"""Group commit: items of many threads are written together, and each thread gets its results or the error."""

import threading
from collections.abc import Sequence

import pytest

from pipeline.ledger.store.group_commit import GroupCommit


class WriteFailed(Exception):
    """The error that the writer of these tests raises."""


class Writer:
    """Records each batch that is written. The result of a number is its double; a batch with 13 fails."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []

    def write(self, numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise WriteFailed
        self.written.append(list(numbers))
        return [2 * number for number in numbers]


class SlowWriter(Writer):
    """A writer whose first batch takes until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, numbers: Sequence[int]) -> list[int]:
        if not self.begun.is_set():
            self.begun.set()
            self.go_on.wait()
        return super().write(numbers)


@pytest.fixture
def writer() -> Writer:
    """A writer without batches."""
    return Writer()


@pytest.fixture
def commits(writer: Writer) -> GroupCommit[int, int]:
    """A group commit that writes with this writer."""
    return GroupCommit(writer.write)


def test_each_item_gets_its_own_result(writer: Writer, commits: GroupCommit[int, int]) -> None:
    """`run` returns a result for each of its items, in their order, once they are written."""
    assert commits.run([1, 2]) == [2, 4]
    assert writer.written == [[1, 2]]


def test_an_item_is_written_with_the_next_run(writer: Writer, commits: GroupCommit[int, int]) -> None:
    """An item that nobody waits for is written with the next items, before them."""
    commits.later(1)
    assert writer.written == []

    assert commits.run([2]) == [4]
    assert writer.written == [[1, 2]]


def test_flush_writes_all(writer: Writer, commits: GroupCommit[int, int]) -> None:
    """After a flush all items are written; without items a flush does nothing."""
    commits.flush()
    commits.later(1)
    commits.later(2)
    commits.flush()
    commits.flush()

    assert writer.written == [[1, 2]]


def started(target: object, *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args)  # type: ignore[arg-type]
    thread.start()
    return thread


def await_pending(commits: GroupCommit[int, int], count: int) -> None:
    """Return once so many tickets are pending."""
    while len(commits._pending) < count:
        threading.Event().wait(0.001)


def test_flush_waits_for_another_writer() -> None:
    """Flush does not return while another thread writes the items, and then writes no batch of its own."""
    writer = SlowWriter()
    commits = GroupCommit(writer.write)
    commits.later(1)
    threads = [started(commits.flush)]
    writer.begun.wait()
    threads.append(started(commits.flush))
    await_pending(commits, 1)
    waits = threads[1].is_alive()
    writer.go_on.set()
    for thread in threads:
        thread.join()

    assert waits
    assert writer.written == [[1]]


def test_items_that_come_during_a_write_share_a_batch() -> None:
    """Items that come while a thread writes are written in the next batch, with the items that a flush waits for."""
    writer, results = SlowWriter(), dict[int, list[int]]()
    commits = GroupCommit(writer.write)

    def work(number: int) -> None:
        results[number] = commits.run([number])

    threads = [started(work, 1)]
    writer.begun.wait()
    for count, number in enumerate((2, 3, 4), 1):
        threads.append(started(work, number))
        await_pending(commits, count)
    commits.later(5)
    threads.append(started(commits.flush))
    await_pending(commits, 5)
    writer.go_on.set()
    for thread in threads:
        thread.join()

    assert writer.written == [[1], [2, 3, 4, 5]]
    assert results == {number: [2 * number] for number in (1, 2, 3, 4)}


def test_the_writing_thread_serves_a_flush() -> None:
    """A flush that comes while another thread writes is served by that thread: one that only flushes never writes."""
    writer = SlowWriter()
    commits = GroupCommit(writer.write)
    first_thread = started(commits.run, [1])
    writer.begun.wait()
    commits.later(2)
    flushing = started(commits.flush)
    await_pending(commits, 2)
    writer.go_on.set()
    first_thread.join()
    flushing.join()

    assert writer.written == [[1], [2]]


def test_each_item_of_many_threads_is_written_once(writer: Writer, commits: GroupCommit[int, int]) -> None:
    """The items of each thread are written once and in order, and it gets their results, whatever batch they are in."""
    results: dict[int, list[int]] = {}

    def work(worker: int) -> None:
        results[worker] = []
        for n in range(1000 * worker, 1000 * worker + 200, 2):
            commits.later(n + 100)
            results[worker] += commits.run([n + 101])

    threads = [started(work, worker) for worker in range(1, 9)]
    for thread in threads:
        thread.join()

    found = [n for batch in writer.written for n in batch]
    each = {worker: [n for n in found if n // 1000 == worker] for worker in results}
    assert each == {worker: list(range(1000 * worker + 100, 1000 * worker + 300)) for worker in results}
    assert results == {worker: [2 * n for n in numbers[1::2]] for worker, numbers in each.items()}


def test_nothing_is_written_after_a_failure(writer: Writer, commits: GroupCommit[int, int]) -> None:
    """When a batch fails, the threads that wait get the error, and so does each later call: items were lost."""
    commits.later(13)
    with pytest.raises(WriteFailed):
        commits.run([1])
    with pytest.raises(WriteFailed):
        commits.run([2])
    with pytest.raises(WriteFailed):
        commits.later(3)
    with pytest.raises(WriteFailed):
        commits.flush()

    assert writer.written == []


def test_all_threads_of_a_failed_batch_get_the_error() -> None:
    """All threads whose items were in a failed batch, or came after it, raise; none goes on as if they were written."""
    writer, ends = SlowWriter(), dict[int, str]()
    commits = GroupCommit(writer.write)

    def work(number: int) -> None:
        try:
            commits.run([number])
            ends[number] = "written"
        except WriteFailed:
            ends[number] = "failed"

    threads = [started(work, 1)]
    writer.begun.wait()
    for count, number in enumerate((2, 13, 3), 1):
        threads.append(started(work, number))
        await_pending(commits, count)
    writer.go_on.set()
    for thread in threads:
        thread.join()

    assert ends == {1: "written", 2: "failed", 13: "failed", 3: "failed"}
    assert writer.written == [[1]]


def test_pending_items_are_limited(writer: Writer, commits: GroupCommit[int, int]) -> None:
    """More pending items than allowed are written; written items are not pending any more."""
    for number in (1, 2, 3, 4):
        commits.later(number)
        commits.limit_pending(2)

    assert writer.written == [[1, 2, 3]]


def test_items_being_written_are_pending() -> None:
    """Items that another thread has not finished writing count as pending: they may be lost."""
    writer = SlowWriter()
    commits = GroupCommit[int, int](writer.write)
    commits.later(1)
    first_thread = threading.Thread(target=commits.flush)
    first_thread.start()
    writer.begun.wait()
    commits.later(2)
    threading.Timer(0.05, writer.go_on.set).start()
    commits.limit_pending(1)
    first_thread.join()

    assert writer.written == [[1], [2]]


def test_the_limit_raises_after_a_failure(commits: GroupCommit[int, int]) -> None:
    """`limit_pending` raises the error once items were lost, however many may be pending."""
    commits.later(13)
    with pytest.raises(WriteFailed):
        commits.flush()

    for most in (0, 1000):
        with pytest.raises(WriteFailed):
            commits.limit_pending(most)
