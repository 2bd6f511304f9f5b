"""The regression gate: what a baseline keeps, what counts as worse, and how it is told."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.attacks.native import pgd
from robustbench_mix.config.model import Interface
from robustbench_mix.evaluation import fast, load_model
from robustbench_mix.models import factory
from robustbench_mix.results.regression import baselines
from robustbench_mix.training import load_or_train

pytestmark = [pytest.mark.default, pytest.mark.usefixtures("unexamined")]

SHORT = """
summary = "PGD in seconds"
algorithm = "pgd"
norm = "linf"
[eps]
default = ["0.5/16", "1/16", "1.5/16"]
[options]
steps = 8
restarts = 1
step_size = 0.25
"""
# A linear classifier of the digits, fitted once; `nudge` is added to its weights.
OWN = """
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


NOISE = """
class Noise(nn.Module):
    def forward(self, x):
        return x + 0.01 * torch.randn_like(x)

"""


def rbmix(capsys, *arguments: str | Path) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def checkpoint(checkout: Path, spatial: str) -> Path:
    """The committed checkpoint of the digits pair."""
    (path,) = (checkout / "results/baselines").glob(f"*_d4-{spatial}-*.safetensors")
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A baseline of the learned network under a short PGD."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "short.toml").write_text(SHORT)
    words = ["--attack", str(folder / "short.toml"), "--examples", "32", "--out", str(folder)]
    weights = ["--weights", str(checkpoint(checkout, "learned"))]
    assert cli.main(["baseline", "--model", "resnet14_w4_d4", *weights, *words]) == 0
    return folder / "resnet14_w4_d4-learned-learned-s0-digits-short.csv"


@pytest.fixture(autouse=True)
def _not_on_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests find is no finding of the job that runs them."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def worse(out: str) -> set[str]:
    """The names of the checks that found something, from the JSON."""
    (one,) = json.loads(out)["baselines"]
    return {check["name"] for check in one["checks"] if check["worse"]}


@pytest.mark.parametrize("words", [[], ["--batch-size", "7"], ["--examples", "20"]], ids=str)
def test_an_unchanged_network_passes(kept: Path, capsys, words: list[str]) -> None:
    """Exit 0 on a second run, in other batches, and on the baseline's first images."""
    before = kept.read_bytes()
    code, out, err = rbmix(capsys, "check", "--baseline", kept, *words)
    assert (code, "nothing got worse" in out) == (0, True), out + err
    assert kept.read_bytes() == before


def test_other_threads_are_told(kept: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no reason to fail."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    code, out, _ = rbmix(capsys, "check", "--baseline", kept, "--examples", "8")
    assert code == 0
    assert f"device: cpu (threads: {threads}) then, cpu (threads: {threads + 1}) now" in out


@pytest.mark.slow
def test_other_threads_pass(kept: Path, capsys) -> None:
    """The number of threads only rounds."""
    threads = torch.get_num_threads()
    other = 2 if threads == 1 else 1  # more than there are cores would only wait for each other
    torch.set_num_threads(other)
    try:
        code, out, _ = rbmix(capsys, "check", "--baseline", kept, "--examples", "8")
    finally:
        torch.set_num_threads(threads)
    assert code == 0
    assert f"device: cpu (threads: {threads}) then, cpu (threads: {other}) now" in out


def nudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """One layer's weights are a little different."""
    load = load_or_train.load_checkpoint

    def changed(*words):
        trained = load(*words)
        with torch.no_grad():
            next(trained.model.parameters()).mul_(1.02)
        return trained

    monkeypatch.setattr(load_model, "load_checkpoint", changed)


def without_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels go into the network as they are."""
    monkeypatch.setattr(factory.Normalized, "forward", lambda self, x: self.net(x))


def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack's steps are a hundred times too short, whatever the protocol says."""
    attack = pgd.pgd
    monkeypatch.setattr(
        pgd, "pgd", lambda *a, step_size, **k: attack(*a, step_size=step_size / 100, **k)
    )


def clean_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack returns what it was given."""
    monkeypatch.setattr(pgd, "pgd", lambda model, batch, **_: batch.x.clone())


def half_the_ball(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness projects onto a ball of half the radius."""
    whole = fast.project
    monkeypatch.setattr(fast, "project", lambda x_adv, x, eps, norm: whole(x_adv, x, eps / 2, norm))


PLANTED = [
    (nudged, {"weights"}),
    (without_normalisation, {"clean logits"}),
    (short_steps, {"eps 1/16", "eps 1.5/16"}),
    (clean_images, {"eps 1/16", "eps 1.5/16"}),
    (half_the_ball, {"eps 1/16", "eps 1.5/16"}),
]


@pytest.mark.parametrize(("plant", "found"), PLANTED, ids=lambda v: getattr(v, "__name__", ""))
def test_planted_regressions_are_found(
    kept: Path, capsys, monkeypatch: pytest.MonkeyPatch, plant, found: set[str]
) -> None:
    """Exit 1, and the checks that are meant for it say so."""
    plant(monkeypatch)
    code, out, _ = rbmix(capsys, "check", "--baseline", kept, "--json")
    assert code == 1
    assert found <= worse(out)


def test_a_weaker_attack_is_named_everywhere(
    kept: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracy that rises with the same weights is an attack that became weaker."""
    clean_images(monkeypatch)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    report = tmp_path / "report.xml"
    code, out, err = rbmix(capsys, "check", "--baseline", kept, "--junit", report, "--json")
    assert code == 1
    content = json.loads(out)
    assert content["worse"] and content["paths"] == [str(report)]
    checks = {check["name"]: check for check in content["baselines"][0]["checks"]}
    found = checks["eps 1/16"]
    assert found["gained"] and not found["lost"]
    assert "the attack became weaker" in found["worse"]
    assert not checks["clean"]["worse"] and not checks["clean logits"]["worse"]
    commands = [line for line in err.splitlines() if line.startswith("::error file=")]
    failures = ET.parse(report).getroot().findall("testsuite/testcase/failure")
    assert len(commands) == len(failures) == len(worse(out))
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n### rbmix check: ") and "WORSE" in summary


def test_a_changed_protocol_is_worse(kept: Path, capsys) -> None:
    """A step size that is edited in the protocol: named, and seen image by image."""
    protocol = kept.parent / "short.toml"
    protocol.write_text(SHORT.replace("0.25", "0.0025"))
    try:
        code, out, _ = rbmix(capsys, "check", "--baseline", kept, "--json")
    finally:
        protocol.write_text(SHORT)
    assert code == 1
    assert {"protocol", "eps 1.5/16"} <= worse(out)
    assert "step_size=0.25 steps=8' to 'pgd restarts=1 step_size=0.0025" in out


@pytest.mark.slow
@pytest.mark.parametrize("plant", [plant for plant, _ in PLANTED])
@pytest.mark.parametrize("spatial", ["learned", "frozen"])
def test_the_committed_pair_finds_them(
    checkout: Path, capsys, monkeypatch: pytest.MonkeyPatch, spatial: str, plant
) -> None:
    """Each planted regression on the baselines that this project is gated by."""
    plant(monkeypatch)
    (path,) = (checkout / "results/baselines").glob(f"*_d4-{spatial}-*-pgd.csv")
    assert rbmix(capsys, "check", "--baseline", path)[0] == 1


def test_the_committed_pair_is_whole(checkout: Path) -> None:
    """Both twins on the same images under the same protocol, unflagged, small, with weights."""
    paths = sorted((checkout / "results/baselines").glob("*.csv"))
    pair = [baselines.read(path) for path in paths]
    assert [one.identity["spatial"] for one in pair] == ["frozen", "learned"]
    for name in ("data_hash", "protocol_hash", "epochs", "train_examples"):
        assert len({one.identity[name] for one in pair}) == 1
    for one, path in zip(pair, paths, strict=True):
        assert baselines.weights_of(one, path).is_file()
        assert not one.identity["flags"]
        assert one.clear.mean(axis=None) > 0.9
    assert sum(path.stat().st_size for path in (checkout / "results/baselines").iterdir()) < 200_000


def test_update_accepts_what_changed(
    kept: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--update writes the baseline anew and exits 0; afterwards the same network passes."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in kept.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / kept.name
    clean_images(monkeypatch)
    code, out, _ = rbmix(capsys, "check", "--baseline", path, "--update")
    assert code == 0
    assert "WORSE" in out and f"wrote {path}" in out
    assert path.read_bytes() != kept.read_bytes()
    assert rbmix(capsys, "check", "--baseline", path)[0] == 0


def test_a_baseline_brings_its_checkpoint(cached: Path, tmp_path: Path, capsys) -> None:
    """A network of the zoo is trained, and the check needs nothing but the baseline's folder."""
    words = ["baseline", "--model", "resnet14_w4", "--epochs", "5", "--train-examples", "600"]
    words += ["--attack", "fgsm", "--examples", "10", "--json"]
    code, out, err = rbmix(capsys, *words, "--out", tmp_path / "one")
    assert code == 0, err
    weights, path = map(Path, json.loads(out)["paths"])
    folder = path.parent.rename(tmp_path / "moved")
    kept = baselines.read(folder / path.name)
    assert weights.name == kept.identity["weights"]
    assert (kept.identity["train_examples"], kept.identity["epochs"]) == ("600", "5")
    code, _, err = rbmix(capsys, "check", "--baseline", folder / path.name)
    assert code == 0
    assert "training" not in err
    (folder / weights.name).write_bytes(b"")
    code, _, err = rbmix(capsys, "check", "--baseline", folder / path.name)
    assert code == 2
    assert "is damaged" in err.splitlines()[-1]


def test_a_baseline_is_not_overwritten(kept: Path, checkout: Path, capsys) -> None:
    """Without --replace it is one line and exit 2, and the file stays."""
    before = kept.read_bytes()
    words = ["--weights", checkpoint(checkout, "learned"), "--model", "resnet14_w4_d4"]
    words += ["--attack", kept.parent / "short.toml", "--out", kept.parent]
    code, _, err = rbmix(capsys, "baseline", *words)
    assert code == 2
    assert "exists; --replace writes it anew" in err
    assert kept.read_bytes() == before


def test_a_checkpoint_is_of_the_network_that_was_asked_for(
    kept: Path, checkout: Path, capsys
) -> None:
    """The twin's weights are refused, and so are training options that nothing would use."""
    weights = checkpoint(checkout, "frozen")
    words = ["evaluate", "--model", "resnet14_w4_d4", "--weights", weights]
    code, _, err = rbmix(capsys, *words)
    assert code == 2
    assert "'spatial': 'frozen'" in err
    code, _, err = rbmix(capsys, *words, "--epochs", "3")
    assert code == 2
    assert "comes with its weights: --epochs" in err


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path):
    """A linear model of the user's own with its weights, and a function that nudges them."""
    import sys

    from safetensors.torch import save_file

    from robustbench_mix.data import loaders

    monkeypatch.chdir(tmp_path)
    (tmp_path / "gatednet.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "gatednet", raising=False)
    train = loaders.load("digits").train
    x = torch.nn.functional.pad(train.pixels().flatten(1), (0, 1), value=1.0)
    goal = torch.nn.functional.one_hot(train.labels, 10).float()
    solved = torch.linalg.lstsq(x.double(), goal.double(), driver="gelsd").solution.float().T
    noise = torch.randn(10, 64, generator=torch.Generator().manual_seed(1))

    def nudge(size: float) -> Path:
        path = tmp_path / "weights.safetensors"
        weight = (solved[:, :64] + size * noise).contiguous()
        save_file({"1.weight": weight, "1.bias": solved[:, 64].contiguous()}, path)
        return path

    nudge(0.0)
    return nudge


OWN_WORDS = ["--model", "gatednet:make", "--attack", "fgsm", "--eps", "0.5/16,1/16"]
OWN_CSV = "gatednet_make-external-external-s0-digits-fgsm.csv"


def test_a_normalised_network_has_a_gate(own, tmp_path: Path, capsys) -> None:
    """The baseline keeps mean and std, so that a check needs neither; others are another network.

    An absolute threshold fails whatever the accuracy was before.
    """
    weights = own(0.0)
    words = ["--weights", weights, "--mean", "0.5", "--std", "2", "--examples", "20"]
    words += ["--class-index", "numbers"]
    assert rbmix(capsys, "baseline", *OWN_WORDS, *words, "--out", tmp_path)[0] == 0
    kept = baselines.read(tmp_path / OWN_CSV)
    assert kept.words["interface"] == Interface(mean=(0.5,), std=(2.0,))
    assert kept.words["class_index"] == "numbers"
    assert (kept.words["model"], kept.identity["model"]) == (
        "gatednet:make", "gatednet:make [mean 0.5 std 2]",
    )  # fmt: skip
    check = ["check", "--baseline", tmp_path / OWN_CSV, "--json"]
    code, out, err = rbmix(capsys, *check, "--fail-under", "0@0", "--fail-under", "0@1/16")
    assert (code, worse(out)) == (0, set()), err
    code, out, _ = rbmix(capsys, *check, "--fail-under", "1@1/16")
    assert (code, worse(out)) == (1, {"at least 1@1/16"})
    _, out, _ = rbmix(capsys, *check, "--mean", "0", "--std", "0.5")
    (one,) = json.loads(out)["baselines"]
    (hashes,) = (check for check in one["checks"] if check["name"] == "weights")
    assert hashes["before"] != hashes["now"]
    code, _, err = rbmix(capsys, *check, "--fail-under", "0.4@4/255")
    assert code == 2
    assert "threshold '0.4@4/255'" in err


def test_a_randomised_network_has_a_gate(own, tmp_path: Path, capsys) -> None:
    """Its outcomes vary by themselves: images are compared by the test, not one by one."""
    (tmp_path / "gatednet.py").write_text(OWN.replace("nn.Flatten()", "Noise(), nn.Flatten()", 1)
                                          .replace("def make", NOISE + "def make"))  # fmt: skip
    (tmp_path / "own.toml").write_text(SHORT)
    words = ["--model", "gatednet:make", "--attack", "own.toml", "--randomised", "--examples", "10"]
    code, out, err = rbmix(capsys, "baseline", *words, "--eps", "1/16", "--out", tmp_path, "--json")
    assert code == 0, err
    (path,) = json.loads(out)["paths"]
    kept = baselines.read(Path(path))
    assert kept.words["randomised"]
    assert kept.identity["backend"] == "reference, randomised"
    code, out, err = rbmix(capsys, "check", "--baseline", path, "--json")
    assert code == 0, out + err
    (one,) = json.loads(out)["baselines"]
    skipped = {check["name"]: check["skipped"] for check in one["checks"]}
    assert skipped["clean logits"] == "the network draws random numbers"


def test_other_weights_are_compared_by_a_test(own, tmp_path: Path, capsys) -> None:
    """A network that is about as good passes; one that lost images does not, and p says so."""
    weights = own(0.0)
    words = ["baseline", *OWN_WORDS, "--weights", weights, "--out", tmp_path]
    code, out, err = rbmix(capsys, *words)
    assert code == 0, err
    check = ["check", "--baseline", tmp_path / OWN_CSV, "--json"]
    assert rbmix(capsys, *check)[0] == 0
    own(0.001)
    code, out, _ = rbmix(capsys, *check)
    assert code == 0
    weights_check = json.loads(out)["baselines"][0]["checks"][1]
    assert weights_check["before"] != weights_check["now"]
    own(0.5)
    code, out, _ = rbmix(capsys, *check)
    assert code == 1
    assert "clean" in worse(out)
    assert "exact McNemar test" in out


def test_weights_outside_of_the_folder_are_given_again(own, tmp_path: Path, capsys) -> None:
    """They are not named in the baseline; the check asks for them."""
    weights = own(0.0)
    path = tmp_path / "baselines" / OWN_CSV
    words = [*OWN_WORDS, "--examples", "20", "--weights", weights, "--out", path.parent]
    assert rbmix(capsys, "baseline", *words)[0] == 0
    code, _, err = rbmix(capsys, "check", "--baseline", path)
    assert code == 2
    assert "was written with --weights; give the file again" in err
    assert rbmix(capsys, "check", "--baseline", path, "--weights", weights)[0] == 0


def test_a_changed_data_set_is_an_error(own, tmp_path: Path, capsys, write_folder) -> None:
    """One line and exit 2: nothing can be compared, and no report is written."""
    from PIL import Image

    (tmp_path / "gatednet.py").write_text(OWN.replace("64, 10", "192, 4"))
    folder = write_folder("pets", train=2, test=3)
    words = ["--model", "gatednet:make", "--attack", "fgsm", "--examples", "8"]
    code, _, err = rbmix(capsys, "baseline", *words, "--dataset", folder, "--out", tmp_path)
    assert code == 0, err
    (path,) = tmp_path.glob("gatednet*-pets-fgsm.csv")
    for image in sorted((folder / "test").glob("*/*.png")):
        Image.new("RGB", (8, 8), "white").save(image)
    report = tmp_path / "report.xml"
    code, out, err = rbmix(capsys, "check", "--baseline", path, "--junit", report)
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("rbmix: data set") and "has changed since" in last
    assert not report.exists()
