"""Train the networks that the tests come with, and write them where `networks.py` reads them.

    PYTHONPATH=tests/benchmarks python tests/weights/make.py [NAME ...]

Numbers that tests expect are those of these files: after a change of the recipe they need not be
made anew. Weights are kept in half precision, and what a header says is true of those.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import agreement
import networks
import torch
from safetensors.torch import save

from robustbench_mix.config.canonical import as_json
from robustbench_mix.config.training import Adversarial, recipe_for
from robustbench_mix.data import loaders
from robustbench_mix.models import checkpoint, factory
from robustbench_mix.runtime import progress, provenance
from robustbench_mix.runtime.devices import compute_environment
from robustbench_mix.storage.files import write_bytes
from robustbench_mix.training.classifier import accuracy, train

EPOCHS = 16
CPU = torch.device("cpu")


def make(name: str) -> str:
    """Train one, write it, and say how good it is."""
    spec, digits = networks.SPECS[name], loaders.load("digits")
    recipe = replace(recipe_for(spec.model, "digits"), epochs=EPOCHS)
    if name == "adversarial":
        recipe = replace(recipe, adversarial=Adversarial("1/16", steps=4))
    model = factory.build(spec, factory.shape_of(digits), *digits.statistics())
    with progress.silenced():
        train(model, digits.train, digits.test, recipe, spec.seed, CPU)
    small = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in model.state_dict().items()
    }
    model.load_state_dict(small)
    header = {
        "format": checkpoint.FORMAT,
        "spec": as_json(spec),
        "recipe": as_json(recipe),
        "dataset": digits.name,
        "classes": list(digits.classes),
        "image": list(digits.train.images.shape[1:]),
        "train_examples": len(digits.train),
        "train_hash": digits.train.hash,
        "test_accuracy": accuracy(model, digits.test, CPU),
        **compute_environment(CPU),
        "date": provenance.today(),
        "weights_hash": checkpoint.weights_hash(model),
    }
    path = networks.path(name)
    write_bytes(path, save(small, {checkpoint.KEY: json.dumps(header, sort_keys=True)}))
    return f"{name}: {header['test_accuracy']:.1%} clean, {path.stat().st_size:,} bytes"


def fit(name: str) -> str:
    """The same of a classifier of scikit-learn, in single precision."""
    _, net = agreement.trained(name)
    small = {}
    for at, layer in enumerate(net.layers[::2]):
        small[f"weight{at}"] = layer.weight.detach().float().T.contiguous()
        small[f"bias{at}"] = layer.bias.detach().float()
    path = networks.path(name)
    write_bytes(path, save(small))
    right = accuracy(networks.scikit(name), loaders.load("digits").test, CPU)
    return f"{name}: {right:.1%} clean, {path.stat().st_size:,} bytes"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:] or [*networks.SPECS, *agreement.CLASSIFIERS]:
        print((fit if wanted in agreement.CLASSIFIERS else make)(wanted), flush=True)
