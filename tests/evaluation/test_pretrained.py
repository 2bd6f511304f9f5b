"""Networks that bring their weights: what is evaluated, under which name, and what is refused."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from robustbench_mix import cli
from robustbench_mix.claims.pairs import pairs
from robustbench_mix.config.model import Interface, ModelSpec
from robustbench_mix.config.training import CONVMIXER, RESNET, Recipe, recipe_for
from robustbench_mix.config.weights import WeightsFile
from robustbench_mix.data import class_index, loaders
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.load_model import is_pretrained
from robustbench_mix.evaluation.model_plan import model_plan
from robustbench_mix.evaluation.pretrained import load_pretrained
from robustbench_mix.models import checkpoint, factory, state_dict
from robustbench_mix.models.checkpoint import CheckpointHeader
from robustbench_mix.models.normalize import Normalized
from robustbench_mix.models.sources.common import Pretrained
from robustbench_mix.models.weight_sets import weight_sets
from robustbench_mix.results import probes, records, twins
from robustbench_mix.results.headers import ProbeIdentity

MODULE = """
import torch
from torch import nn

def make(num_classes=10):
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
                         nn.Flatten(), nn.Linear(16, num_classes))

def wide():
    return make(1000)

def odd():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ConvTranspose2d(2, 2, 3), nn.Flatten(),
                         nn.Linear(128, 10))

def colour():
    return nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten())
"""
SMOKE = ["--attack", "smoke", "--examples", "10"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Path) -> Path:
    """A working folder with a module of the user's own, `net`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "net", raising=False)
    (tmp_path / "net.py").write_text(MODULE)
    return tmp_path


def rbmix(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def state(spatial: str | None, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights as training gave them: of `net:make` as it is, or made separable."""
    if spatial is None:
        torch.manual_seed(seed)
        return importlib.import_module("net").make().state_dict()
    return factory.build_without_normalization(
        ModelSpec("net:make", spatial, seed=seed), loaders.shape("digits")
    ).state_dict()


@pytest.mark.parametrize(
    ("word", "wishes", "expected"),
    [
        ("resnet14", {}, False),
        ("torchvision:resnet18", {}, False),
        ("torchvision:resnet18", {"spatial": "frozen"}, False),
        ("torchvision:resnet18", {"weights": Path("w.pt")}, True),
        ("torchvision:resnet18", {"weights": Path("w.pt"), "spatial": "frozen"}, True),
        ("torchvision:resnet18", {"pretrained": True}, True),
        ("net:make", {}, True),
        ("net:make", {"channel": "frozen"}, False),
        ("net:make", {"weights": Path("w.pt"), "spatial": "learned"}, True),
    ],
)
def test_who_is_trained_and_who_is_not(here: Path, word: str, wishes: dict, expected: bool) -> None:
    """Weights that are given, or a callable of which no variant is wanted, are never trained."""
    (here / "w.pt").touch()
    plan = model_plan(word, **wishes)
    assert is_pretrained(plan) is expected
    assert plan.is_trained is not expected


def load(word: str, spatial: str | None = None, **more):
    """The label and the network, for digits."""
    return load_pretrained(model_plan(word, spatial, **more), loaders.load("digits"))


def test_a_network_as_it_is_stays_bare(here: Path) -> None:
    """Without any option nothing is put before the network, and the label says external."""
    label, trained = load("net:make")
    assert (label.model, label.spatial, label.channel) == ("net:make", "external", "external")
    assert type(trained.model) is nn.Sequential
    assert not trained.model.training
    assert trained.header == CheckpointHeader()


def test_the_interface_stands_before_the_network(here: Path) -> None:
    """Resizing, then mean and std, then the weights of the file; the label shows all three."""
    import net

    weights = state(None, seed=5)
    save_file(weights, here / "w.safetensors")
    interface = Interface(input_size=16, mean=(0.25,), std=(0.5,))
    label, trained = load("net:make", interface=interface, weights=here / "w.safetensors")
    plain = net.make()
    plain.load_state_dict(weights)
    x = loaders.load("digits").test.pixels(0, 4)
    resized = F.interpolate(x, (16, 16), mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = plain((resized - 0.25) / 0.5)
        torch.testing.assert_close(trained.model(x), expected)
    assert label.model == "net:make [16 px, mean 0.25 std 0.5]"
    assert trained.header == CheckpointHeader(weights="w.safetensors")


def test_resizing_keeps_the_shape_of_images_and_averages() -> None:
    """The shorter side gets the size asked for; shrinking leaves no pixel out."""
    seen = []

    class Look(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x.flatten(1)

    model = Normalized(Look(), torch.zeros(3), torch.ones(3), 4)
    x = torch.rand(2, 3, 8, 16, requires_grad=True)
    model(x).sum().backward()
    assert seen[0].shape == (2, 3, 4, 8)
    assert (x.grad > 0).all()
    same = Normalized(Look(), torch.zeros(3), torch.ones(3), 8)
    assert torch.equal(same(x), x.flatten(1))
    assert "size" in model.state_dict()
    assert "size" not in Normalized(Look(), torch.zeros(3), torch.ones(3)).state_dict()


def test_published_standardisation_is_used_unless_another_is_given(here, monkeypatch) -> None:
    """What is known of a pretrained network's mean and std stands before it."""
    import net

    torch.manual_seed(0)
    found = Pretrained(net.make(), "TAG", (0.5,), (0.25,))
    monkeypatch.setattr(
        "robustbench_mix.models.sources.importable.load_pretrained", lambda _: found
    )
    _, trained = load("net:make")
    assert trained.header == CheckpointHeader(weights="TAG")
    assert (trained.model.mean.item(), trained.model.std.item()) == (0.5, 0.25)
    _, trained = load("net:make", interface=Interface(mean=(0.0,), std=(1.0,)))
    assert (trained.model.mean.item(), trained.model.std.item()) == (0.0, 1.0)


def test_a_separated_file_needs_the_word(here: Path) -> None:
    """`--spatial` makes the network separable before the file is loaded."""
    save_file(state("frozen"), here / "w.safetensors")
    with pytest.raises(RbmixError, match="do not fit the model") as error:
        load("net:make", weights=here / "w.safetensors")
    assert any("0.depthwise.weight" in line for line in error.value.details)
    label, trained = load("net:make", "frozen", weights=here / "w.safetensors")
    assert (label.spatial, label.channel) == ("frozen", "learned")
    assert torch.equal(trained.model[0].depthwise.weight, state("frozen")["0.depthwise.weight"])


@pytest.mark.default
def test_a_pretrained_pair_becomes_twins_on_the_leaderboard(here: Path, capsys) -> None:
    """Two files under two words are compared, but are no evidence for the paper's claims."""
    for spatial, seed in (("learned", 1), ("frozen", 0)):
        save_file(state(spatial, seed), here / f"{spatial}.safetensors")
        words = ["--model", "net:make", "--spatial", spatial, "--weights"]
        code, _, err = rbmix(capsys, "evaluate", *words, f"{spatial}.safetensors", *SMOKE)
        assert code == 0
        assert "training" not in err
    frozen, learned = sorted(records.read_all(here / "results"), key=lambda run: run.header.spatial)
    assert (learned.header.weights, learned.header.spatial) == (
        "learned.safetensors",
        "learned",
    )
    assert twins.twin_of(frozen, [frozen, learned]) is learned
    assert learned.header.checkpoint_hash != frozen.header.checkpoint_hash
    table = (here / "results" / "leaderboard.md").read_text()
    assert "| frozen.safetensors |" in table
    assert "*difference*" in table
    assert pairs([learned, frozen], ("learned", "learned"), ("frozen", "learned")) == []


@pytest.mark.default
def test_another_input_size_is_another_network(here: Path, capsys) -> None:
    """Runs at two sizes stand side by side, under names that tell them apart."""
    words = ["evaluate", "--model", "net:make", *SMOKE]
    assert rbmix(capsys, *words)[0] == 0
    assert rbmix(capsys, *words, "--input-size", "16")[0] == 0
    frame = pd.read_csv(here / "results" / "leaderboard.csv")
    assert set(frame.model) == {"net:make", "net:make [16 px]"}
    assert frame.checkpoint_hash.nunique() == 2


@pytest.mark.default
def test_a_callable_is_trained_as_a_pair(here: Path, capsys) -> None:
    """Asked for a variant, evaluate trains the user's architecture, and finds it again."""
    words = ["--model", "net:make", "--spatial", "frozen", "--input-size", "10"]
    few = ["--epochs", "1", "--train-examples", "100"]
    code, out, _ = rbmix(capsys, "train", *words, *few, "--json")
    assert code == 0
    header = json.loads(out)
    assert header["spec"]["interface"]["input_size"] == 10
    code, _, err = rbmix(capsys, "evaluate", *words, *few, *SMOKE)
    assert code == 0
    assert f"loaded {header['checkpoint']}" in err
    (run,) = records.read_all(here / "results")
    assert (run.header.model, run.header.spatial) == ("net:make [10 px]", "frozen")
    assert run.header.weights is None


@pytest.mark.default
def test_training_says_which_convolutions_no_variant_reaches(here: Path, capsys) -> None:
    """A convolution that stays learned in a frozen network is named."""
    few = ["--epochs", "1", "--train-examples", "100"]
    code, _, err = rbmix(capsys, "train", "--model", "net:odd", "--spatial", "frozen", *few)
    assert code == 0
    assert "net.1 is left out: ConvTranspose2d is no Conv2d" in err
    code, _, err = rbmix(capsys, "train", "--model", "net:odd", *few)
    assert code == 0
    assert "left out" not in err


def test_file_names_of_foreign_words_are_safe(home: Path) -> None:
    """Colons and slashes of a word reach neither checkpoints nor the records of a probe."""
    spec = ModelSpec("hf:owner/name@v1")
    path = checkpoint.path_for(spec, recipe_for("resnet", "digits"), "digits", "abc")
    assert path.parent == home / "checkpoints"
    assert path.name.startswith("hf_owner_name_v1-learned-")
    header = ProbeIdentity(
        model=spec.name, spatial="frozen", channel="learned", seed=0, kind="probe",
        dataset="digits", data_hash="d", n=1, train_examples=None, epochs=None, device="cpu",
        eps=["1/255"],
    )  # fmt: skip
    path = probes.path_for(home, header, "key")
    assert path == home / "probes/digits/probe-hf_owner_name_v1-frozen-learned-s0-key.parquet"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("timm:convmixer_768_32", CONVMIXER),
        ("torchvision:resnet50", RESNET),
        ("convmixer4", CONVMIXER),
        ("net:make", RESNET),
    ],
)
def test_recipes_go_by_the_architectures_name(word: str, expected: Recipe) -> None:
    """Mixers are trained as ConvMixer is, all others as the ResNets."""
    assert recipe_for(word, "cifar10") is expected


@pytest.mark.default
def test_a_thousand_outputs_for_ten_classes(here: Path, capsys) -> None:
    """More outputs than classes are taken only if it is said which of them the classes are."""
    words = ["evaluate", "--model", "net:wide", *SMOKE]
    code, _, err = rbmix(capsys, *words)
    assert code == 2
    assert "has 1,000 outputs, not 10" in err
    assert "(--class-index FILE says which each class is)" in err
    assert not list(here.rglob("*.parquet"))
    code, out, err = rbmix(capsys, *words, "--classes", "1000")
    assert code == 0
    assert "[1000 outputs]" in " ".join(out.split())
    assert "of 1,000 outputs, the first 10 are taken for the classes 0 to 9" in err
    (here / "index.json").write_text(json.dumps({str(i): 100 * i for i in range(10)}))
    code, out, err = rbmix(capsys, *words, "--class-index", "index.json", "--json")
    assert code == 0
    runs = records.read_all(here / "results")
    labels = {tuple(sorted(set(run.table["label"]))) for run in runs}
    assert labels == {tuple(range(10)), tuple(range(0, 1000, 100))}


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({str(i): 10 * i for i in range(10)}, "'net:make' has 10 outputs, not 91"),
        ([str(i) for i in range(10)] * 1 + ["other"], "'net:make' has 10 outputs, not 11"),
        ({"0": 1}, "does not give exactly one output to class '1', '2'"),
    ],
)
def test_a_class_index_that_the_network_does_not_fit(here: Path, capsys, index, said) -> None:
    """An index that counts from one, or that lists other outputs, is refused."""
    (here / "index.json").write_text(json.dumps(index))
    words = ["evaluate", "--model", "net:make", "--class-index", "index.json", *SMOKE]
    code, out, err = rbmix(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]


def test_weights_of_more_outputs_and_a_class_index(here: Path) -> None:
    """A list of all outputs builds the network of the file; an object needs their number too."""
    import net

    save_file(net.make(12).state_dict(), here / "w.safetensors")
    order = here / "order.txt"
    order.write_text("".join(f"{name}\n" for name in ("x", "y", *range(10))))
    plan = model_plan("net:make", weights=here / "w.safetensors")
    data = class_index.apply(loaders.load("digits"), str(order))
    _, trained = load_pretrained(plan, data)
    assert trained.model[-1].out_features == 12
    assert int(data.test.labels.min()) == 2
    few = here / "few.json"
    few.write_text(json.dumps({str(i): i + 1 for i in range(10)}))
    data = class_index.apply(loaders.load("digits"), str(few))
    with pytest.raises(RbmixError, match=r"--classes 12 builds it"):
        load_pretrained(plan, data)
    plan = model_plan("net:make", weights=here / "w.safetensors", interface=Interface(classes=12))
    assert load_pretrained(plan, data)[1].model[-1].out_features == 12


def test_the_normalisation_of_a_file_is_used(here: Path, capsys) -> None:
    """One beside the network stands before it; the user's own words come first; said once."""
    import net

    inner = {f"model.{name}": t for name, t in net.make().state_dict().items()}
    inner |= {"normalize.mean": torch.tensor([0.25]), "normalize.std": torch.tensor([0.5])}
    torch.save({"state_dict": inner}, here / "w.pt")
    _, trained = load("net:make", weights=here / "w.pt")
    assert (float(trained.model.mean), float(trained.model.std)) == (0.25, 0.5)
    assert "w.pt: mean 0.25 and std 0.5 are those of its normalize.mean" in capsys.readouterr().err
    mine = Interface(mean=(0.5,), std=(1.0,))
    _, trained = load("net:make", weights=here / "w.pt", interface=mine)
    assert float(trained.model.mean) == 0.5
    ignored = WeightsFile(here / "w.pt", ignore=("normalize",))
    assert type(load("net:make", weights=ignored)[1].model) is nn.Sequential
    inner |= {"attacker.mean": torch.tensor([0.1]), "attacker.std": torch.tensor([0.5])}
    torch.save({"state_dict": inner}, here / "w.pt")
    with pytest.raises(RbmixError, match=r"differ \(normalize, attacker\); --mean and --std"):
        load("net:make", weights=here / "w.pt")


@pytest.mark.default
def test_a_key_is_in_the_records(here: Path, capsys) -> None:
    """A file with an average: the command takes one by name, and the record says which."""
    plain, average = state(None, 1), state(None, 2)
    torch.save({"model": plain, "model_ema": average}, here / "w.pt")
    words = ["evaluate", "--model", "net:make", "--weights", "w.pt", *SMOKE]
    code, _, err = rbmix(capsys, *words)
    assert code == 0
    assert "took model; left out model_ema (other values; --weights-key model_ema" in err
    assert rbmix(capsys, *words, "--weights-key", "model_ema")[0] == 0
    runs = records.read_all(here / "results")
    assert sorted(run.header.weights for run in runs) == ["w.pt", "w.pt [model_ema]"]
    assert len({run.header.checkpoint_hash for run in runs}) == 2
    code, _, err = rbmix(capsys, "evaluate", "--model", "net:make", "--weights-key", "x", *SMOKE)
    assert code == 2
    assert "--weights-key x goes with --weights" in err


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_of_torchvision(tmp_path: Path, name: str) -> None:
    """Files of networks that were trained with them load into networks without."""
    with torch.device("meta"):
        whole = torchvision.models.get_model(name, num_classes=3, init_weights=False)
        bare = torchvision.models.get_model(
            name, num_classes=3, init_weights=False, aux_logits=False
        )
    (found, *_) = weight_sets({"state_dict": whole.state_dict()}, bare.state_dict())
    left = {n for n in found.rest if not state_dict._is_auxiliary(n)}
    assert len(found.rest) > 0
    assert left == set()
    assert not found.missing


def test_misfits_are_printed_one_a_line(here: Path, capsys) -> None:
    """The first line sums up, each further one names a weight; exit code 2."""
    save_file({"4.bias": torch.zeros(3), "x": torch.zeros(2)}, here / "w.safetensors")
    words = ["--model", "net:make", "--weights", "w.safetensors"]
    code, out, err = rbmix(capsys, "evaluate", *words, *SMOKE)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("rbmix: weights w.safetensors do not fit the model: 5 differ")
    assert lines[1:] == [
        "  missing: 0.weight, (4, 1, 3, 3)",
        "  missing: 0.bias, (4,)",
        "  missing: 4.weight, (10, 16)",
        "  unexpected: x, (2,)",
        "  shape: 4.bias is (3,), the model needs (10,)",
    ]


OWN = ["evaluate", "--model", "net:make"]
BAD = [
    (["evaluate", "--pretrained", "--model", "resnet14"], "--pretrained goes with your own model"),
    ([*OWN, "--weights", "a.pt", "--pretrained"], "--weights a.pt and --pretrained cannot both"),
    ([*OWN, "--pretrained", "--spatial", "frozen"], "--pretrained takes the network as it was"),
    ([*OWN, "--epochs", "3"], "'net:make' comes with its weights: --epochs"),
    ([*OWN, "--adversarial"], "'net:make' comes with its weights"),
    ([*OWN, "--weights", "no.pt"], "checkpoint no.pt does not exist"),
    ([*OWN, "--mean", "0.5"], "--mean needs --std beside it"),
    ([*OWN, "--std", "0.5"], "--std needs --mean beside it"),
    ([*OWN, "--mean", "a", "--std", "1"], "'a' is not a list of numbers, as in 0.5,0.25"),
    ([*OWN, "--mean", "nan", "--std", "1"], "mean nan must be finite numbers"),
    ([*OWN, "--mean", "0", "--std", "0"], "std 0 must be positive numbers"),
    ([*OWN, "--mean", "0,0,0", "--std", "1"], "mean 0,0,0 has 3 values (allowed: 1, or one"),
    ([*OWN, "--input-size", "0"], "input size 0 is not in 1 to 1024"),
    ([*OWN, "--classes", "1"], "number of classes 1 must be at least 2"),
    ([*OWN, "--classes", "7"], "--classes 7 is less than the data set's 10 classes"),
    ([*OWN, "--classes", "20"], "'net:make' has 10 outputs, not 20"),
    (["evaluate", "--model", "net:colour"], "'net:colour' cannot take images of shape (1, 8, 8)"),
    (["train", "--model", "net:colour"], "'net:colour' cannot take images of shape (1, 8, 8)"),
    (["train", "--model", "torchvision:resnet"], "unknown torchvision model 'resnet'"),
    (["explain", "--model", "net:colour"], "'net:colour' cannot take images"),
    (["describe", "resnet81"], "unknown model 'resnet81'"),
    (["describe", "net:colour", "--dataset", "digits"], "cannot take images of shape (1, 8, 8)"),
    (["describe", "resnet14", "--dataset", "digts"], "unknown data set 'digts'"),
    (["describe", "resnet14", "--spatial", "x"], "unknown spatial 'x'"),
    (["describe", "resnet14", "--dataset", "digits", "--classes", "3"], "--classes 3 is less than"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda v: " ".join(v)[:60])
def test_bad_input_is_one_line_and_exit_2(here: Path, capsys, arguments, message) -> None:
    """The line names the value and what is allowed; nothing half-written is left."""
    code, out, err = rbmix(capsys, *arguments)
    assert code == 2
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("rbmix: ")
    assert message in last
    assert not list(here.rglob("*.part*")) + list(here.rglob("*.parquet"))


def test_describe_speaks_to_people_and_programs(here: Path, capsys) -> None:
    """A table with every mixer and the totals; one JSON object with the same numbers."""
    code, out, err = rbmix(capsys, "describe", "resnet14", "--spatial", "frozen")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "trainable in Full 205,149, Chans 172,506, Space 34,221" in words
    assert "172,506 trainable and 32,643 frozen here" in words
    found = json.loads(rbmix(capsys, "describe", "resnet14", "--json")[1])
    assert found["parameters"] == {"full": 205149, "chans": 172506, "space": 34221}
    assert found["separable"][0]["composed"] == 442_368
    assert (found["image"], found["classes"]) == ([3, 32, 32], 10)


def test_describe_fits_a_data_set_or_sizes(here: Path, capsys) -> None:
    """Channels, size and classes come from the data set, sizes and outputs from the options."""
    words = ["describe", "net:make", "--json"]
    found = json.loads(rbmix(capsys, *words, "--dataset", "digits", "--input-size", "12")[1])
    assert (found["image"], found["classes"]) == ([1, 12, 12], 10)
    assert found["separable"][0]["two_step"] == 144 * (9 * 9 + 9 * 4)
    names = [layer["name"] for layer in found["layers"]]
    assert names == ["0.depthwise", "0.pointwise", "1 x Linear"]
    found = json.loads(
        rbmix(capsys, "describe", "resnet14_w4", "--json", "--classes", "7", "--input-size", "8")[1]
    )
    assert (found["image"], found["classes"]) == ([3, 8, 8], 7)


def test_shapes_are_known_without_the_images() -> None:
    """What is said of a named data set is what it has."""
    assert loaders.shape("digits") == factory.shape_of(loaders.load("digits"))


def test_images_that_are_not_square(here: Path, write_folder, capsys) -> None:
    """A network is tried on images of the shape they have, also after resizing."""
    (here / "flat.py").write_text(
        "from torch import nn\n\ndef make(num_classes):\n    return nn.Sequential("
        "nn.Conv2d(3, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 8 * 16, num_classes))\n"
    )
    dataset = loaders.load(str(write_folder(size=(4, 8))))
    shape = factory.shape_of(dataset)
    assert (shape.size, shape.sides, shape.image) == (4, (4, 8), (3, 4, 8))
    spec = ModelSpec("flat:make", "frozen", interface=Interface(input_size=8))
    model = factory.build(spec, shape, *dataset.statistics())
    assert model(dataset.test.pixels(0, 2)).shape == (2, 4)
    with pytest.raises(RbmixError, match=r"cannot take images of shape \(3, 4, 8\)"):
        factory.build_without_normalization(ModelSpec("flat:make"), shape)
