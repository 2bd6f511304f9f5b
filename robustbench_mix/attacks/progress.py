"""A progress bar that moves with the passes of models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count, PassCounter
from robustbench_mix.runtime.progress import progress_bar


@contextmanager
def show_passes(description: str, expected: Count, *models: CountedModel) -> Iterator[None]:
    """Show the passes of the models within the block on a progress bar.

    Args:
        description: Text of the bar.
        expected: Estimated passes of all models together.
        models: The models whose passes move the bar.
    """

    def work() -> float:
        return sum(Count(one.passes.forward, one.passes.gradient).work for one in models)

    before, about = work(), expected.work
    with progress_bar(description, about) as update:

        def move(_: PassCounter) -> None:
            done = work() - before
            update(done, total=max(about, 1.01 * done))

        for model in models:
            model.passes.on_pass = move
        yield
        for model in models:
            model.passes.on_pass = model.on_pass
        update(work() - before, total=work() - before)
