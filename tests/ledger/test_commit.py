"""Group commit: what threads hand in together is written together, and every one of them learns what became of it."""

import threading
from collections.abc import Sequence

import pytest

from pipeline.ledger.store.group_commit import GroupCommit


class Torn(Exception):
    """What the writer of these tests raises."""


class Book:
    """What was written, call by call; a number is answered by its double, and 13 tears the page."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []

    def write(self, numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise Torn
        self.written.append(list(numbers))
        return [2 * number for number in numbers]


class SlowBook(Book):
    """A book whose first page takes until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.check_running = threading.Event(), threading.Event()

    def write(self, numbers: Sequence[int]) -> list[int]:
        if not self.begun.is_set():
            self.begun.set()
            self.check_running.wait()
        return super().write(numbers)


@pytest.fixture
def book() -> Book:
    """An empty book."""
    return Book()


@pytest.fixture
def commits(book: Book) -> GroupCommit[int, int]:
    """A group commit into the book."""
    return GroupCommit(book.write)


def test_each_item_gets_its_own_result(book: Book, commits: GroupCommit[int, int]) -> None:
    """`run` returns a result for each of its items, in their order, once they are written."""
    assert commits.run([1, 2]) == [2, 4]
    assert book.written == [[1, 2]]


def test_what_is_handed_in_goes_with_the_next(book: Book, commits: GroupCommit[int, int]) -> None:
    """Nothing is written for an item that nobody waits for; it goes before whatever is handed in after it."""
    commits.later(1)
    assert book.written == []

    assert commits.run([2]) == [4]
    assert book.written == [[1, 2]]


def test_flush_leaves_nothing_pending(book: Book, commits: GroupCommit[int, int]) -> None:
    """After a flush all that was handed in is written; with nothing handed in it does nothing."""
    commits.flush()
    commits.later(1)
    commits.later(2)
    commits.flush()
    commits.flush()

    assert book.written == [[1, 2]]


def started(act: object, *args: object) -> threading.Thread:
    thread = threading.Thread(target=act, args=args)  # type: ignore[arg-type]
    thread.start()
    return thread


def await_pending(commits: GroupCommit[int, int], count: int) -> None:
    """Return once so many hand-ins wait."""
    while len(commits._pending) < count:
        threading.Event().wait(0.001)


def test_flush_waits_for_what_is_under_way() -> None:
    """Flush does not return while another thread still writes what was handed in; and then needs no page of its own."""
    book = SlowBook()
    commits = GroupCommit(book.write)
    commits.later(1)
    threads = [started(commits.flush)]
    book.begun.wait()
    threads.append(started(commits.flush))
    await_pending(commits, 1)
    waits = threads[1].is_alive()
    book.check_running.set()
    for thread in threads:
        thread.join()

    assert waits
    assert book.written == [[1]]


def test_what_comes_while_one_writes_is_written_together() -> None:
    """Those who come meanwhile share the next page, which one of them writes; what a flush waits for is in it."""
    book, got = SlowBook(), dict[int, list[int]]()
    commits = GroupCommit(book.write)

    def work(number: int) -> None:
        got[number] = commits.run([number])

    threads = [started(work, 1)]
    book.begun.wait()
    for count, number in enumerate((2, 3, 4), 1):
        threads.append(started(work, number))
        await_pending(commits, count)
    commits.later(5)
    threads.append(started(commits.flush))
    await_pending(commits, 5)
    book.check_running.set()
    for thread in threads:
        thread.join()

    assert book.written == [[1], [2, 3, 4, 5]]
    assert got == {number: [2 * number] for number in (1, 2, 3, 4)}


def test_one_that_writes_goes_on_for_who_only_flushes() -> None:
    """A flush that comes while another writes is served by that one: whoever watches is never left to write."""
    book = SlowBook()
    commits = GroupCommit(book.write)
    writer = started(commits.run, [1])
    book.begun.wait()
    commits.later(2)
    flushing = started(commits.flush)
    await_pending(commits, 2)
    book.check_running.set()
    writer.join()
    flushing.join()

    assert book.written == [[1], [2]]


def test_many_threads_write_each_once(book: Book, commits: GroupCommit[int, int]) -> None:
    """Whatever page a thread's items go on, they are written once and in order, and it gets their results."""
    got: dict[int, list[int]] = {}

    def work(worker: int) -> None:
        got[worker] = []
        for n in range(1000 * worker, 1000 * worker + 200, 2):
            commits.later(n + 100)
            got[worker] += commits.run([n + 101])

    threads = [started(work, worker) for worker in range(1, 9)]
    for thread in threads:
        thread.join()

    found = [n for page in book.written for n in page]
    each = {worker: [n for n in found if n // 1000 == worker] for worker in got}
    assert each == {worker: list(range(1000 * worker + 100, 1000 * worker + 300)) for worker in got}
    assert got == {worker: [2 * n for n in numbers[1::2]] for worker, numbers in each.items()}


def test_after_a_torn_page_nothing_is_written(book: Book, commits: GroupCommit[int, int]) -> None:
    """Of a page that fails who waits is told why, and so is whoever comes later: what went with it is lost."""
    commits.later(13)
    with pytest.raises(Torn):
        commits.run([1])
    with pytest.raises(Torn):
        commits.run([2])
    with pytest.raises(Torn):
        commits.later(3)
    with pytest.raises(Torn):
        commits.flush()

    assert book.written == []


def test_everybody_on_a_torn_page_is_told() -> None:
    """Threads whose items went with ones that failed all raise; none goes on as if its own had been kept."""
    book, reported = SlowBook(), dict[int, str]()
    commits = GroupCommit(book.write)

    def work(number: int) -> None:
        try:
            commits.run([number])
            reported[number] = "kept"
        except Torn:
            reported[number] = "torn"

    threads = [started(work, 1)]
    book.begun.wait()
    for count, number in enumerate((2, 13, 3), 1):
        threads.append(started(work, number))
        await_pending(commits, count)
    book.check_running.set()
    for thread in threads:
        thread.join()

    assert reported == {1: "kept", 2: "torn", 13: "torn", 3: "torn"}
    assert book.written == [[1]]


def test_no_more_waits_than_may(book: Book, commits: GroupCommit[int, int]) -> None:
    """Once more items wait than may, they are written; what is written waits no more."""
    for number in (1, 2, 3, 4):
        commits.later(number)
        commits.limit_pending(2)

    assert book.written == [[1, 2, 3]]


def test_what_is_being_written_waits_still() -> None:
    """What another thread has not written yet counts among what waits: it may be lost as well."""
    book = SlowBook()
    commits = GroupCommit[int, int](book.write)
    commits.later(1)
    writer = threading.Thread(target=commits.flush)
    writer.start()
    book.begun.wait()
    commits.later(2)
    threading.Timer(0.05, book.check_running.set).start()
    commits.limit_pending(1)
    writer.join()

    assert book.written == [[1], [2]]


def test_after_a_torn_page_nobody_keeps_up(commits: GroupCommit[int, int]) -> None:
    """Whoever asks whether little enough waits is told that something was lost, however little that was."""
    commits.later(13)
    with pytest.raises(Torn):
        commits.flush()

    for most in (0, 1000):
        with pytest.raises(Torn):
            commits.limit_pending(most)
