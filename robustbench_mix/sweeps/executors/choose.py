"""Who does the pieces of a sweep: this process, several on this machine, or a Ray cluster.

A runner takes pieces and what to do with one, and gives back what failed. A piece starts when
nothing that it needs is still to be made; where something it needs could not be made, it fails
without being tried. Whatever fails, the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from robustbench_mix.config.command_checks import check_runner
from robustbench_mix.sweeps.executors.base import Runner
from robustbench_mix.sweeps.executors.processes import SEEN, in_processes
from robustbench_mix.sweeps.scheduler import Agenda, Do, Note, Piece, attempt, unnoted


@contextmanager
def running(
    name: str, *, workers: int | None = None, address: str | None = None, device: str = "auto"
) -> Iterator[Runner]:
    """The runner of this name for the block; nothing that it started is left afterwards.

    `workers` is how many pieces are done at once; unless given, one on this machine, or one for
    each of its GPUs where `device` is not one of them; on a cluster as many as it has room for.
    Raises RbmixError for what does not exist or does not go together.
    """
    check_runner(name, workers, address)
    if name == "ray":
        from robustbench_mix.sweeps.executors.ray_cluster import connected

        with connected(address, workers, device) as found:
            yield found
        return
    yield local(workers, gpus(device))


def local(workers: int | None = None, cards: Sequence[str] = ()) -> Runner:
    """Pieces are done on this machine, on the GPUs of these numbers where there are several."""
    count = workers or max(len(cards), 1)
    run = in_turn if count == 1 else partial(in_processes, workers=count, cards=cards)
    words = f"{count} {'workers' if count > 1 else 'process'}"
    return Runner(run, lambda function, *args: function(*args), words, count)


def gpus(device: str) -> list[str]:
    """The numbers of the GPUs that `device` leaves to choose from, if there are several.

    Where `CUDA_VISIBLE_DEVICES` is set, what it holds.
    """
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    visible = [one for one in os.environ.get(SEEN, "").split(",") if one]
    return (visible[:count] or [str(one) for one in range(count)]) if count > 1 else []


def in_turn(pieces: Sequence[Piece], do: Do, note: Note = unnoted) -> list[str]:
    """Do the pieces one after the other, in this process."""
    agenda = Agenda(pieces, note)
    while taken := agenda.take():
        number, piece = taken
        agenda.done(number, piece, attempt(do, piece))
    return agenda.failures
