"""The command line: parse, call, print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from robustbench_mix import __version__
from robustbench_mix.errors import RbmixError

# Typer's base class of everything a wrong command line raises, in every version of it.
UsageError: type[Any] = typer.BadParameter.__base__ or typer.BadParameter

INTERRUPTED = 130

app = typer.Typer(
    name="rbmix",
    help="Is a network whose spatial mixers stay random really more robust than its learned twin?",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _number(kind: Callable[[str], Any], what: str) -> Callable[[Any], Any]:
    """A parser that names the value it cannot read."""

    def parse(text: Any) -> Any:
        try:
            return kind(str(text))
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {what}") from None

    parse.__name__ = "number"
    return parse


_whole = _number(int, "a whole number")
_real = _number(float, "a number")

Model = Annotated[
    str, typer.Option(help="A name from `rbmix models`, or your own package.module:callable.")
]
SpatialWord = Annotated[
    str,
    typer.Option(help="learned, frozen, same, box, identity, smoothed:S or smoothed:S:rescaled."),
]
ChannelWord = Annotated[str, typer.Option(help="learned or frozen.")]
DatasetName = Annotated[
    str, typer.Option(help="digits, cifar10, cifar100, or a folder with train/ and test/.")
]
Seed = Annotated[
    int, typer.Option(parser=_whole, help="Seed of the weights, the training and the attack.")
]
Epochs = Annotated[
    Optional[int], typer.Option(parser=_whole, help="Training epochs instead of the recipe's.")
]
TrainExamples = Annotated[
    Optional[int],
    typer.Option(parser=_whole, help="Train on this many images, balanced over the classes."),
]
LearningRate = Annotated[
    Optional[float],
    typer.Option("--lr", parser=_real, help="Peak learning rate instead of the recipe's."),
]
Precision = Annotated[
    str, typer.Option(help="Training precision: fp32, bf16, or auto (bf16 on GPUs).")
]
IsAdversarial = Annotated[
    bool, typer.Option("--adversarial", help="Train on PGD examples (7 steps) instead of images.")
]
AdversarialEps = Annotated[
    Optional[str], typer.Option(help="Their l-infinity radius: 8/255, on digits 2/16.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


@app.command()
def evaluate(
    model: Model = "resnet18",
    spatial: SpatialWord = "learned",
    channel: ChannelWord = "learned",
    attack: Annotated[
        str, typer.Option(help="A protocol from `rbmix attacks`, or a path to a .toml file.")
    ] = "autoattack",
    dataset: DatasetName = "digits",
    examples: Annotated[
        Optional[int],
        typer.Option(parser=_whole, help="Test images, a fixed subset balanced over the classes."),
    ] = None,
    eps: Annotated[
        Optional[str], typer.Option(help="Epsilons instead of the protocol's: 1/255,2/255")
    ] = None,
    norm: Annotated[
        Optional[str], typer.Option(help="linf or l2 instead of the protocol's (needs --eps).")
    ] = None,
    backend: Annotated[
        Optional[str],
        typer.Option(
            help="fast (our attacks, one job for the whole curve; default) or reference "
            "(the libraries, epsilon by epsilon)."
        ),
    ] = None,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive", help="Every attack at every epsilon, to its end: nothing saved."
        ),
    ] = False,
    seed: Seed = 0,
    batch_size: Annotated[
        Optional[int], typer.Option(parser=_whole, help="Images attacked at once.")
    ] = None,
    weights: Annotated[
        Optional[Path], typer.Option(help="Weights for your own model: .safetensors or .pt.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Results folder.")] = Path("results"),
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    device: Device = "auto",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Attack again even if this run is on disk.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Attack a model over an epsilon grid; train it first if it is not cached."""
    from robustbench_mix import jobs, plot, show
    from robustbench_mix import leaderboard as board

    done = jobs.evaluate(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
        attack=attack, eps=None if eps is None else [e.strip() for e in eps.split(",")],
        norm=norm, examples=examples, batch_size=batch_size, weights=weights, results=out,
        training=jobs.Training(
            epochs, train_examples, lr, precision, adversarial, adversarial_eps
        ),
        device=device,
        backend=backend, exhaustive=exhaustive, fresh=fresh, quiet=as_json,
    )  # fmt: skip
    written = [done.path, *board.write(out), *plot.write(out)]
    rows = board.rows([done.run])
    if as_json:
        print(json.dumps(show.evaluation_json(done.run, rows, written), indent=2))
    else:
        show.evaluation(done.run, rows, written)


@app.command()
def train(
    model: Model = "resnet18",
    spatial: SpatialWord = "learned",
    channel: ChannelWord = "learned",
    dataset: DatasetName = "digits",
    seed: Seed = 0,
    epochs: Epochs = None,
    train_examples: TrainExamples = None,
    lr: LearningRate = None,
    precision: Precision = "auto",
    adversarial: IsAdversarial = False,
    adversarial_eps: AdversarialEps = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a model and keep its checkpoint; nothing to do if it is cached."""
    from robustbench_mix import jobs, show

    obtained = jobs.train(
        model=model, spatial=spatial, channel=channel, seed=seed, dataset=dataset,
        training=jobs.Training(
            epochs, train_examples, lr, precision, adversarial, adversarial_eps
        ),
        device=device,
        quiet=as_json,
    )  # fmt: skip
    if as_json:
        print(json.dumps({**obtained.header, "checkpoint": str(obtained.path)}, indent=2))
    else:
        show.training(obtained.header, obtained.path)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models, with the trainable parameters of Full, Chans and Space."""
    from robustbench_mix import show, zoo

    counts = {name: zoo.trainable_parameters(name) for name in zoo.MODELS}
    if as_json:
        print(json.dumps(counts, indent=2))
    else:
        show.models(zoo.MODELS, counts, zoo.GRAMMAR)


@app.command()
def attacks(as_json: AsJson = False) -> None:
    """List the attack protocols."""
    from robustbench_mix import protocols, show

    loaded = [protocols.load(name, dataset="") for name in protocols.names()]
    if as_json:
        print(json.dumps([{**p.as_json(), "summary": p.summary} for p in loaded], indent=2))
    else:
        show.attacks(loaded)


@app.command()
def bench(
    dataset: DatasetName = "digits",
    examples: Annotated[
        int, typer.Option(parser=_whole, help="Test images under AutoAttack; PGD takes 128.")
    ] = 16,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tiny network, few images: no evidence.")
    ] = False,
    parts: Annotated[
        Optional[str], typer.Option(help="Only these, as in steps,pgd,autoattack.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for benchmarks.md.")] = Path("results"),
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure rbmix against what you could use instead, side by side."""
    from robustbench_mix import progress
    from robustbench_mix.bench import run, table

    progress.set_quiet(as_json)
    if examples < 1:
        raise RbmixError(f"number of examples {examples} must be at least 1")
    measured = run.bench(
        dataset=dataset, examples=examples, quick=quick,
        parts=None if parts is None else [part.strip() for part in parts.split(",")],
        precision=precision, device=device, results=out,
    )  # fmt: skip
    print(json.dumps(table.to_json(measured), indent=2) if as_json else table.to_markdown(measured))


@app.command()
def leaderboard(
    results: Annotated[Path, typer.Argument(help="Results folder.")] = Path("results"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Only compare with what the records give; exit 1 if stale."),
    ] = False,
) -> None:
    """Regenerate leaderboard and curves from the records."""
    from robustbench_mix import leaderboard as board

    if check:
        stale = board.stale(results)
        for path in stale:
            print(f"{path} does not match the records (rbmix leaderboard {results} rewrites it)")
        if stale:
            raise typer.Exit(1)
        print(f"{results}: the leaderboard matches the records")
        return
    from robustbench_mix import plot

    for path in [*board.write(results), *plot.write(results)]:
        print(f"wrote {path}")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rbmix {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0 done, 1 a check that failed, 2 wrong input in one line, 130 interrupted.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        result: Any = app(args=given or ["--help"], prog_name="rbmix", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except RbmixError as error:
        return _fail(str(error))
    except UsageError as error:
        return _fail(error.format_message())
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    if code == INTERRUPTED:
        print(
            "interrupted; nothing half-written is left, the same command goes on from there",
            file=sys.stderr,
        )
    return code


def _fail(message: str) -> int:
    print("rbmix: " + " ".join(message.split()), file=sys.stderr)
    return 2


def entry() -> None:
    """The console script."""
    sys.exit(main())
