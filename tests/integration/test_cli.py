"""The command line: what it prints, what it leaves behind, and how it fails."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import networks
import pandas as pd
import pytest

from robustbench_mix import cli
from robustbench_mix.results import records

pytestmark = pytest.mark.default

# The cheapest model and training that still is the real thing.
SMALL = ["--model", "resnet14_w4", "--epochs", "5", "--train-examples", "600"]
EVALUATE = ["evaluate", *SMALL, "--attack", "smoke", "--examples", "20"]
# A network whose numbers are the same on every machine.
SHIPPED = ["--model", "resnet14_w4", "--weights", str(networks.path("learned"))]

# AutoAttack in seconds rather than minutes, but long enough to be interrupted.
BRIEF = """
summary = "brief"
algorithm = "autoattack"
norm = "linf"
[eps]
default = ["1/255", "2/255"]
[options]
steps = 10
queries = 100
"""

OWN_MODEL = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def three():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def broken():
    class Broken(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :10] * float("nan")
    return Broken()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path, unexamined: None) -> Path:
    """An empty working folder, with the shared cache of checkpoints."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def own_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's own in the working folder."""
    (here / "mynet.py").write_text(OWN_MODEL)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mynet", raising=False)


def rbmix(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_help_is_fast(tmp_path: Path) -> None:
    """`rbmix --help` answers in under a second, best of three."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "robustbench_mix", "--help"],
            check=True,
            capture_output=True,
            cwd=tmp_path,
        )
        times.append(time.perf_counter() - started)
    assert min(times) < 1


def test_evaluate_leaves_everything_behind(here: Path, capsys) -> None:
    """Records, CSV, Markdown and plot under ./results, the curve on the screen."""
    code, out, err = rbmix(capsys, *EVALUATE)
    assert code == 0
    results = here / "results"
    (path,) = (results / "runs" / "digits").glob("*.parquet")
    names = ["leaderboard.csv", "leaderboard.md", "curves/digits-resnet14_w4-smoke.svg"]
    for file in [path, *(results / name for name in names)]:
        assert file.is_file()
        assert str(file.relative_to(here)) in out.replace("\n", "")
    assert "20 of 300 test images (--examples N takes more)" in " ".join(out.split())
    assert "1/16" in out
    assert not list(results.rglob("*.part*"))
    frame = pd.read_csv(results / "leaderboard.csv", dtype={"eps": str})
    assert frame.eps.tolist() == ["0", "1/16", "4/16"]
    assert frame.accuracy.is_monotonic_decreasing
    assert (frame.n == 20).all()


def test_second_run_loads_the_checkpoint_and_agrees(here: Path, capsys) -> None:
    """The same command again trains nothing and gives the same bytes."""
    rbmix(capsys, *EVALUATE)
    (path,) = (here / "results" / "runs" / "digits").glob("*.parquet")
    before = path.read_bytes()
    code, _, err = rbmix(capsys, *EVALUATE)
    assert code == 0
    assert "already evaluated" in err
    assert "training" not in err
    code, _, err = rbmix(capsys, *EVALUATE, "--fresh")
    assert code == 0
    assert "loaded" in err
    assert "already" not in err
    assert path.read_bytes() == before


def test_evaluate_json(here: Path, capsys) -> None:
    """One JSON object and nothing else: rows, durations, passes, paths."""
    code, out, err = rbmix(capsys, *EVALUATE, "--json")
    assert code == 0
    assert err == ""
    content = json.loads(out)
    assert [row["eps"] for row in content["rows"]] == ["0", "1/16", "4/16"]
    assert content["rows"][0]["n"] == 20
    assert content["time_seconds"].keys() == {"training", "attacking"}
    spent = content["passes"].values()
    assert content["passes_per_image"] == {
        kind: sum(one[kind] for one in spent) / 20 for kind in ("forward", "gradient")
    }
    assert all(Path(path).is_file() for path in content["paths"])


def test_pair_is_compared(here: Path, capsys) -> None:
    """Both twins on one leaderboard, with their difference."""
    out = rbmix(capsys, *EVALUATE)[1]
    assert "the same command with --spatial frozen makes it" in " ".join(out.split())
    out = rbmix(capsys, *EVALUATE, "--spatial", "frozen")[1]
    assert "frozen - learned" in out
    text = (here / "results" / "leaderboard.md").read_text()
    assert text.count("| *difference*") == 1
    code, out, _ = rbmix(capsys, "leaderboard", "--check")
    assert (code, "up to date with the records" in out) == (0, True)
    (here / "results" / "leaderboard.csv").write_text("x")
    code, out, _ = rbmix(capsys, "leaderboard", "--check")
    assert code == 1
    assert "leaderboard.csv does not match" in out
    assert rbmix(capsys, "leaderboard")[0] == 0
    assert rbmix(capsys, "leaderboard", "--check")[0] == 0


def test_fast_backend(here: Path, capsys) -> None:
    """It is the default; the other has its own records and rows; never the wrong direction."""
    words = ["evaluate", *SHIPPED, "--attack", "smoke", "--examples", "20"]
    rbmix(capsys, *words, "--backend", "reference")
    code, out, _ = rbmix(capsys, *words)
    assert code == 0
    frame = pd.read_csv(here / "results" / "leaderboard.csv", dtype={"eps": str})
    rows = dict(list(frame.groupby("backend")))
    assert rows.keys() == {"reference", "fast"}
    assert (rows["fast"].accuracy.to_numpy() <= rows["reference"].accuracy + 0.05).all()
    assert "already evaluated" in rbmix(capsys, *words, "--backend", "fast")[2]


def test_fast_fgsm_infers_nothing(here: Path, capsys) -> None:
    """One signed step is tried at every epsilon, so no verdict is inferred; PGD's may be."""
    for attack in ("fgsm", "pgd"):
        words = ["evaluate", *SHIPPED, "--attack", attack, "--examples", "20", "--backend", "fast"]
        assert rbmix(capsys, *words, "--eps", "0.001,0.002,0.004")[0] == 0
    inferred = {
        run.header.protocol: any(any(marks) for marks in run.table["inferred"])
        for run in records.read_all(here / "results")
    }
    assert inferred == {"fgsm": False, "pgd": True}


def test_an_audited_estimate_says_what_it_promises(here: Path, capsys) -> None:
    """Its bound is in the output, the CSV and the table, and plain runs have none."""
    spec = here / "audited.toml"
    spec.write_text(
        'summary = "s"\nalgorithm = "autoattack-audited"\nnorm = "linf"\n'
        '[eps]\ndefault = ["0.1/16", "0.4/16"]\n'
        "[options]\nbound = 0.15\nsteps = 5\nqueries = 5\ntargets = 2\n"
    )
    words = ["evaluate", *SHIPPED, "--examples", "20"]
    code, out, _ = rbmix(capsys, *words, "--attack", str(spec))
    assert code == 0
    assert "audited survivors fell to the whole ensemble" in " ".join(out.split())
    assert rbmix(capsys, *words, "--attack", "fgsm")[0] == 0
    rows = pd.read_csv(here / "results/leaderboard.csv")
    rows = rows.set_index(["protocol", "eps"])
    bounds = rows["audit_bound"]
    assert 0 < bounds["audited", "0.1/16"] < 1
    assert bounds["fgsm"].isna().all()
    assert rows["audit_sampled"]["fgsm"].isna().all()
    sampled = int(rows["audit_sampled"]["audited", "0.1/16"])
    assert sampled > 0
    page = (here / "results/leaderboard.md").read_text()
    assert re.search(rf", full ≥ [0-9.]+ \({sampled} audited\)", page)
    found = json.loads(rbmix(capsys, *words, "--attack", str(spec), "--json")[1])["audit"]
    assert [one["broken"] for one in found] == [0, 0]
    assert found[0]["sampled"] == sampled
    assert sum(stratum["sampled"] for stratum in found[0]["strata"]) == sampled


def test_exhaustive_runs_everything(here: Path, capsys) -> None:
    """Each attack at each epsilon, whatever broke before; a row of its own; not the reference."""
    spec = here / "short.toml"
    spec.write_text(
        'summary = "s"\nalgorithm = "pgd"\nnorm = "linf"\n[eps]\ndefault = ["1/16", "4/16"]\n'
        "[options]\nsteps = 3\nrestarts = 2\n"
    )
    words = ["evaluate", *SMALL, "--examples", "10", "--attack", str(spec), "--exhaustive"]
    code, out, _ = rbmix(capsys, *words, "--json")
    assert code == 0
    correct = json.loads(out)["rows"][0]["correct"]
    assert json.loads(out)["passes"]["pgd-1"] == {"forward": 8 * correct, "gradient": 6 * correct}
    assert json.loads(out)["rows"][0]["backend"] == "fast, exhaustive"
    code, _, err = rbmix(capsys, *words, "--backend", "reference")
    assert code == 2
    assert "--exhaustive goes with the fast backend, not with 'reference'" in err


def test_noise_has_the_reference_alone(here: Path, capsys) -> None:
    """What has no fast form runs as it is, and asking for it is an error."""
    words = ["evaluate", *SMALL, "--examples", "10", "--attack", "noise"]
    code, out, _ = rbmix(capsys, *words, "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["backend"] == "reference"
    code, _, err = rbmix(capsys, *words, "--backend", "fast")
    assert code == 2
    assert "'noise' has no fast backend" in err


def test_train_only(here: Path, capsys) -> None:
    """`rbmix train` trains once, reports the checkpoint, and finds it the next time."""
    words = ["train", *SMALL, "--seed", "5", "--json"]
    code, out, _ = rbmix(capsys, *words)
    first = json.loads(out)
    assert code == 0
    assert Path(first["checkpoint"]).is_file()
    assert first["train_examples"] == 600
    assert 0 < first["test_accuracy"] <= 1
    assert json.loads(rbmix(capsys, *words)[1]) == first
    assert "clean accuracy" in rbmix(capsys, *words[:-1])[1]


def test_train_adversarially(here: Path, capsys) -> None:
    """A checkpoint of its own, whose records and leaderboard line say what it was trained on."""
    words = [*SMALL, "--adversarial", "--adversarial-eps", "1/16", "--epochs", "1"]
    code, out, _ = rbmix(capsys, "train", *words)
    assert code == 0
    assert ", adversarial 1/16, averaged 0.9995: " in out
    assert rbmix(capsys, "evaluate", *words, "--attack", "fgsm", "--examples", "10")[0] == 0
    assert (
        "600 x 1, adversarial 1/16, averaged 0.9995"
        in (here / "results/leaderboard.md").read_text()
    )


def test_models_json_gives_the_counts(capsys) -> None:
    """Full, Chans and Space for every model."""
    code, out, _ = rbmix(capsys, "models", "--json")
    assert code == 0
    assert json.loads(out)["resnet14"] == {"full": 205149, "chans": 172506, "space": 34221}
    assert "205,149" in rbmix(capsys, "models")[1]


def test_own_model_with_weights(own_model: None, here: Path, capsys) -> None:
    """A module from the working folder, with and without weights; nothing is trained."""
    words = ["evaluate", "--model", "mynet:make", "--attack", "smoke", "--examples", "10"]
    code, out, err = rbmix(capsys, *words)
    assert code == 0
    assert "mynet:make" in out
    assert "training" not in err
    import torch

    torch.save({"1.weight": torch.eye(10, 64), "1.bias": torch.zeros(10)}, here / "w.pt")
    assert rbmix(capsys, *words, "--weights", "w.pt")[0] == 0
    frame = pd.read_csv(here / "results" / "leaderboard.csv")
    assert set(frame.spatial) == {"external"}
    assert frame.checkpoint_hash.nunique() == 2


BAD = [
    (["evaluate", "--model", "resnet81"], "unknown model 'resnet81'; did you mean 'resnet"),
    (["evaluate", "--attack", "autoatack"], "unknown attack 'autoatack'; did you mean 'autoattack"),
    (["evaluate", "--dataset", "digts"], "unknown data set 'digts'; did you mean 'digits'"),
    (["evaluate", "--dataset", "./nowhere"], "data set folder './nowhere' does not exist"),
    (["evaluate", "--spatial", "frozn"], "unknown spatial 'frozn'; did you mean 'frozen'"),
    (["evaluate", "--channel", "x"], "unknown channel 'x' (allowed: learned, frozen)"),
    (["evaluate", "--eps", "1/255,abc"], "epsilon 'abc' is not a positive number"),
    (["evaluate", "--eps", "-0.1"], "epsilon '-0.1' is not a positive number"),
    (["evaluate", "--eps", "8"], "epsilon '8' is above 1"),
    (["evaluate", "--eps", ""], "epsilon '' is not a positive number"),
    (["evaluate", "--norm", "l7", "--eps", "0.1"], "unknown norm 'l7'"),
    (["evaluate", "--norm", "l2"], "give one with --eps"),
    (["evaluate", "--examples", "0", *SMALL], "number of examples 0 must be at least 1"),
    (["evaluate", "--examples", "x"], "'x' is not a whole number"),
    (["evaluate", "--batch-size", "0", *SMALL], "batch size 0 must be at least 1"),
    (["evaluate", "--seed", "-3"], "seed -3 is out of range"),
    (["evaluate", "--device", "tpu"], "unknown device 'tpu'"),
    (["evaluate", "--backend", "quick"], "unknown backend 'quick'"),
    (["evaluate", "--weights", "w.pt", *SMALL[:2]], "checkpoint w.pt does not exist"),
    (["evaluate", "--model", "nowhere:make"], "cannot import model 'nowhere:make'"),
    (["train", "--epochs", "0"], "epochs 0 must be at least 1"),
    (["train", "--lr", "nan"], "learning rate nan must be a positive number"),
    (["train", "--precision", "fp8"], "unknown precision 'fp8'"),
    (["train", "--train-examples", "-1"], "number of examples -1 must be at least 1"),
    (["leaderboard", "nowhere"], "results folder nowhere does not exist"),
    (["evaluat"], "No such command 'evaluat'"),
    (["evaluate", "--modle", "x"], "No such option"),
    (["evaluate", "stray"], "unexpected extra argument"),
    (["evaluate", "--model"], "requires an argument"),
]


@pytest.mark.quick
@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda v: " ".join(v)[:60])
def test_bad_input_is_one_line_and_exit_2(here: Path, capsys, arguments, message) -> None:
    """The line names the value and what is allowed; nothing half-written is left."""
    code, out, err = rbmix(capsys, *arguments)
    assert code == 2
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("rbmix: ")
    assert message.lower() in last.lower()
    assert not [path for path in here.rglob("*") if path.is_file()]


@pytest.mark.quick
def test_bad_class_folders(here: Path, capsys, write_folder) -> None:
    """One class, and an image that cannot be decoded."""
    one = write_folder("one", classes=("cat",))
    assert "one class" in rbmix(capsys, "train", "--dataset", str(one))[2]
    broken = write_folder("broken")
    (broken / "test" / "owl" / "1.png").write_bytes(b"no image")
    code, _, err = rbmix(capsys, "train", "--dataset", str(broken))
    assert code == 2
    assert "cannot decode" in err.splitlines()[-1]


def test_class_folder_end_to_end(here: Path, capsys, write_folder) -> None:
    """A folder of images is a data set, named after itself."""
    folder = write_folder("zoo")
    words = ["--model", "resnet14_w4", "--epochs", "1", "--attack", "smoke"]
    code, out, err = rbmix(capsys, "evaluate", "--dataset", str(folder), *words)
    assert code == 0, err
    frame = pd.read_csv(here / "results" / "leaderboard.csv", dtype={"eps": str})
    assert frame.dataset.unique().tolist() == ["zoo"]
    assert frame.eps.tolist() == ["0", "1/255", "4/255"]


def test_corrupt_checkpoint(here: Path, capsys) -> None:
    """A damaged checkpoint is named; it is neither used nor silently replaced."""
    words = ["train", *SMALL, "--seed", "6"]
    rbmix(capsys, *words)
    checkpoint = Path(json.loads(rbmix(capsys, *words, "--json")[1])["checkpoint"])
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    code, _, err = rbmix(capsys, *words)
    assert code == 2
    assert str(checkpoint) in err
    assert "damaged" in err
    assert checkpoint.stat().st_size == 1000


def test_wrong_number_of_classes_and_nan(own_model: None, here: Path, capsys) -> None:
    """A model with too few classes, or with NaN logits, gives no number."""
    words = ["--attack", "smoke", "--examples", "20"]
    code, _, err = rbmix(capsys, "evaluate", "--model", "mynet:three", *words)
    assert code == 2
    assert "model 'mynet:three' has 3 outputs, not 10, one for each class" in err
    code, _, err = rbmix(capsys, "evaluate", "--model", "mynet:broken", *words)
    assert code == 2
    assert "not finite" in err
    assert not list(here.rglob("*.parquet"))


@pytest.mark.quick
@pytest.mark.parametrize("target", ["file", "proc"])
def test_unwritable_output(here: Path, capsys, target: str) -> None:
    """Found out before anything is trained or attacked."""
    (here / "file").write_text("in the way")
    out = "file/results" if target == "file" else "/proc/nowhere"
    code, _, err = rbmix(capsys, "evaluate", *SMALL, "--seed", "7", "--out", out)
    assert code == 2
    assert "cannot write" in err.splitlines()[-1]
    assert "training" not in err


@pytest.mark.parametrize(
    ("backend", "queries"),
    [("fast", 100), pytest.param("reference", 3000, marks=pytest.mark.slow)],
)
def test_ctrl_c_and_going_on(here: Path, capsys, backend: str, queries: int) -> None:
    """An interrupted run exits 130, leaves no half-written file, and goes on to the same bytes.

    It has to last for a few seconds on any machine, so that a line tells of its progress.
    """
    (here / "brief.toml").write_text(BRIEF.replace("queries = 100", f"queries = {queries}"))
    words = ["evaluate", *SHIPPED, "--attack", "./brief.toml", "--batch-size", "20"]
    words += ["--backend", backend, "--examples", "40"]
    command = [sys.executable, "-m", "robustbench_mix", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " open" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert not list(here.rglob("*.parquet"))
    (partial,) = here.rglob("*.partial.json")
    code, _, err = rbmix(capsys, *words)
    assert code == 0
    assert "continuing the unfinished run" in err
    assert not partial.exists()
    (path,) = here.rglob("*.parquet")
    resumed = path.read_bytes()
    assert rbmix(capsys, *words, "--fresh")[0] == 0
    assert path.read_bytes() == resumed


def test_damaged_records_stop_the_leaderboard(here: Path, capsys) -> None:
    """A truncated record file is named, not skipped."""
    rbmix(capsys, *EVALUATE)
    (path,) = here.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:500])
    code, _, err = rbmix(capsys, "leaderboard")
    assert code == 2
    assert path.name in err


def test_records_carry_their_provenance(here: Path, capsys) -> None:
    """Hashes, versions, seed, device and passes are in every run."""
    rbmix(capsys, *EVALUATE)
    (run,) = records.read_all(here / "results")
    header = run.header
    for name in ("protocol_hash", "checkpoint_hash", "data_hash"):
        assert len(getattr(header, name)) == 12
    assert header.versions["torch"]
    assert header.train_examples == 600
    assert header.epochs == 5
    assert "pgd-0" in header.passes
    for kind in ("forward", "gradient"):
        spent = sum(getattr(stage, kind) for stage in header.passes.values())
        assert run.table[kind].sum() == spent
    assert run.date
