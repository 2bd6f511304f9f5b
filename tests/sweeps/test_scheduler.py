"""Which task starts when, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_mix.sweeps.scheduler import DONE, FAILED, RUNNING, Scheduler


@dataclass(frozen=True)
class Task:
    """A task that does nothing."""

    description: str
    makes: str = ""
    needs: tuple[str, ...] = ()


def started(scheduler: Scheduler) -> list[str]:
    """The tasks that can start now, all of them."""
    found = []
    while taken := scheduler.next_task():
        found.append(taken[1].description)
    return found


def test_tasks_start_in_their_order_once_their_needs_are_made() -> None:
    """The first that can start goes first, also when it waited."""
    train, attack = Task("train", makes="net"), Task("attack", needs=("net", "data"))
    other, last = Task("other"), Task("last", makes="plot", needs=("curve",))
    scheduler = Scheduler([train, attack, other, last])
    assert started(scheduler) == ["train", "other", "last"]
    scheduler.finish(1, train)
    assert scheduler.next_task() == (2, attack)
    scheduler.finish(2, attack)
    assert scheduler.next_task() is None
    assert scheduler.failures == []


def test_tasks_that_make_the_same_run_one_after_the_other() -> None:
    """And what needs it waits for the last of them."""
    first, second = Task("first", makes="net"), Task("second", makes="net")
    scheduler = Scheduler([first, second, Task("attack", needs=("net",))])
    assert started(scheduler) == ["first"]
    scheduler.finish(1, first)
    assert started(scheduler) == ["second"]
    scheduler.finish(2, second)
    assert started(scheduler) == ["attack"]


def test_what_needs_a_failed_task_fails_without_being_tried() -> None:
    """However far away; the states are told, and the failures are in the order of the tasks."""
    states = []
    tasks = [
        Task("a", makes="x"), Task("b", makes="y", needs=("x",)), Task("c", needs=("y",)), Task("d")
    ]  # fmt: skip
    scheduler = Scheduler(tasks, lambda task, state, _: states.append((task.description, state)))
    assert started(scheduler) == ["a", "d"]
    scheduler.finish(4, tasks[3], "too small")
    scheduler.finish(1, tasks[0], "killed")
    assert scheduler.next_task() is None
    why = "not tried, what it needs failed"
    assert scheduler.failures == ["a: killed", f"b: {why}", f"c: {why}", "d: too small"]
    assert states[:2] == [("a", RUNNING), ("d", RUNNING)]
    assert states[2:] == [(name, FAILED) for name in "dabc"]
    scheduler = Scheduler(
        tasks[3:], lambda task, state, _: states.append((task.description, state))
    )
    scheduler.next_task()
    scheduler.finish(1, tasks[3])
    assert states[-1] == ("d", DONE)


def test_a_large_sweep_is_scheduled_at_once() -> None:
    """Ten thousand networks, each attacked: no time is lost in choosing the next task."""
    tasks = [
        task
        for n in range(10_000)
        for task in (Task(f"t{n}", makes=f"n{n}"), Task(f"a{n}", needs=(f"n{n}",)))
    ]
    scheduler = Scheduler(tasks)
    order = []
    while taken := scheduler.next_task():
        order.append(taken[0])
        scheduler.finish(*taken)
    assert order == list(range(1, 20_001))
