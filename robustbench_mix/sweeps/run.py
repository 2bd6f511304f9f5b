"""Run the tasks of a sweep's plan that are not done.

Every finished task is on disk, so that a second call runs only those that are missing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from robustbench_mix.evaluation import evaluate, explain, load_model, unshuffling_run
from robustbench_mix.evaluation.plan import ExplanationPlan, TrainingPlan, UnshufflingPlan
from robustbench_mix.storage import remote
from robustbench_mix.sweeps.executors.base import Executor
from robustbench_mix.sweeps.plan import SweepSetting, Task
from robustbench_mix.sweeps.scheduler import OnState, ignore_state


def run_sweep(
    tasks: list[Task], setting: SweepSetting, executor: Executor, on_state: OnState = ignore_state
) -> list[str]:
    """Run the tasks that are not done.

    Args:
        tasks: All tasks of the plan.
        setting: The setting of the sweep.
        executor: The executor.
        on_state: Called whenever a task starts, ends or fails.

    Returns:
        The messages of the tasks that failed.
    """
    missing = [task for task in tasks if not task.is_done]
    return executor.run(missing, partial(_run_task, setting=setting), on_state)


def to_json(tasks: list[Task], failures: list[str], written: list[Path]) -> dict[str, Any]:
    """Return the plan, the failures and the written files as plain JSON values.

    Args:
        tasks: All tasks of the plan.
        failures: The messages of the tasks that failed.
        written: The files that were written.
    """
    planned = [
        {"kind": p.kind, "words": p.description, "done": p.is_done, "seconds": p.estimated_seconds}
        for p in tasks
    ]
    return {"pieces": planned, "failures": failures, "paths": [str(path) for path in written]}


def _run_task(task: Task, setting: SweepSetting) -> None:
    """Run a task on this machine, after downloading what it needs from remote results."""
    results = remote.local_folder(setting.out)
    # The cache has another path on other machines, so only the name of a checkpoint counts.
    remote.download_checkpoints((Path(one).name for one in task.needs), results)
    _carry_out(task, results)
    if task.kind == "train":
        remote.upload_checkpoint(Path(task.makes).name, results)


def _carry_out(task: Task, results: Path) -> None:
    plan = task.plan
    if isinstance(plan, TrainingPlan):
        load_model.train(plan)
    elif isinstance(plan, UnshufflingPlan):
        unshuffling_run.unshuffle(plan, results)
    elif isinstance(plan, ExplanationPlan):
        explain.explain(plan, results)
    elif task.shard is not None:
        evaluate.attack_shard(plan, results, task.shard)
    else:
        evaluate.evaluate(plan, results)
