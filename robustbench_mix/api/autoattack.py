"""A drop-in for the class `AutoAttack`, on the road of `evaluate`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_mix.api.autoattack_log import Log, check_parent, lines_of
from robustbench_mix.api.autoattack_settings import VERSIONS, Attacks, AttackSettings
from robustbench_mix.api.calls import device_of, find_examples
from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.config import norms
from robustbench_mix.config.epsilon import Radius, parse_grid, texts_of
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.data.tensors import dataset_of
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.plan import DataPlan, EvaluationPlan, attack_plan, module_plan
from robustbench_mix.models.given import adapt, as_module
from robustbench_mix.results import flags
from robustbench_mix.runtime.devices import pick_device
from robustbench_mix.runtime.torch_modes import default_modes


class AutoAttack:
    """A faster drop-in replacement for the original `AutoAttack` class.

    It takes the arguments of the original class (`attacks_to_run`, `bs`, `return_labels`) and those
    of pyautoattack (`attacks`, `batch_size`). Settings are changed as there, for example
    `adversary.apgd.n_restarts = 2`; what cannot be changed is refused. A success counts only after
    the harness has verified it. The same call gives the same result at every batch size. The
    network is left as it was found, and so are the global random states.

    Args:
        model: A network that maps images (n, C, H, W) in [0, 1] to logits (n, classes), as for
            `evaluate`.
        norm: Norm of the radius: `"Linf"`, `"L2"` or `"L1"` (through pyautoattack).
        eps: The radius in pixel units: a positive number or text (`"8/255"`).
        seed: Seed of the attack; None is seed 0.
        verbose: Print the clean accuracy, the accuracy after each attack, and the flags.
        attacks_to_run: The attacks to run, in order, if the version is `"custom"`:
            `"apgd-ce"`, `"apgd-dlr"`, `"apgd-t"`, `"fab"`, `"fab-t"`, `"square"`.
        version: `"standard"` (APGD-CE, APGD-T, FAB-T and Square), `"plus"` (all six attacks,
            with restarts), `"rand"` (for networks that draw random numbers) or `"custom"` (five
            restarts of APGD and FAB unless you change them).
        is_tf_model: Must be False: only PyTorch models are supported.
        device: Where to run the attack. By default the device of the model's parameters.
        log_path: A file to which the printed lines are appended.
        attacks: Another name for `attacks_to_run`, as in pyautoattack.

    Attributes:
        apgd: Settings of APGD-CE and APGD-DLR: `n_iter`, `n_restarts`, `eot_iter`.
        apgd_targeted: Settings of APGD-T: `n_iter`, `n_restarts`, `n_target_classes`, `eot_iter`.
        fab: Settings of FAB and FAB-T: `n_iter`, `n_restarts`, `n_target_classes`.
        square: Settings of Square: `n_queries`, `n_restarts`.
        flags: Reasons not to trust the last result yet, by name, as in `Result.flags`.

    Raises:
        RbmixError: If an argument is wrong, or a list of attacks is given with another version
            than `"custom"`.
    """

    apgd: AttackSettings
    apgd_targeted: AttackSettings
    fab: AttackSettings
    square: AttackSettings

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        norm: str = "Linf",
        eps: Radius = 0.3,
        seed: int | None = None,
        verbose: bool = True,
        attacks_to_run: Sequence[str] | None = None,
        version: str = "standard",
        is_tf_model: bool = False,
        device: torch.device | str | None = None,
        log_path: str | Path | None = None,
        *,
        attacks: Sequence[str] | None = None,
    ) -> None:
        if is_tf_model:
            raise RbmixError("is_tf_model=True: only PyTorch models can be attacked")
        chosen = list(attacks_to_run or attacks or [])
        device_of(model)  # refuses what cannot be called
        self.model = model
        self.norm = ROBUSTBENCH[norms.parse(norm)]
        self.epsilon = eps
        self.seed = seed
        self.verbose = verbose
        self.is_tf_model = False
        self.device = device
        self.logger = Log(log_path)
        self.flags: dict[str, str] = {}
        self.attacks_to_run: list[str] = []
        self.set_version(version)
        if chosen and version != "custom":
            raise RbmixError(f"the attacks {chosen} go with version='custom'")
        self.attacks_to_run = chosen or self.attacks_to_run

    def __setattr__(self, name: str, value: Any) -> None:
        known = {*self.__dict__, *ATTRIBUTES}
        if name not in known:
            raise unknown("setting of AutoAttack", name, sorted(known))
        super().__setattr__(name, value)

    def set_version(self, version: str = "standard") -> None:
        """Choose a version: its attacks, and their settings.

        Args:
            version: As for the class.

        Raises:
            RbmixError: There is no such version.
        """
        if version not in VERSIONS:
            raise unknown("version", version, VERSIONS)
        self.version = version
        self.attacks_to_run = list(VERSIONS[version])
        found = Attacks(version, norms.parse(self.norm))
        self.apgd, self.apgd_targeted = found.apgd, found.apgd_targeted
        self.fab, self.square = found.fab, found.square
        self._attacks = found

    def cheap(self) -> None:
        """Use no restarts, and 1,000 queries of Square."""
        self._attacks.cheapen()

    def get_seed(self) -> int:
        """Return the seed of the attack."""
        return self.seed or 0

    def get_logits(self, x: Tensor) -> Tensor:
        """Return the logits (n, classes) of the network as it is, of images (n, C, H, W)."""
        logits: Tensor = self.model(x)
        return logits

    @default_modes()
    def run_standard_evaluation(
        self,
        x_orig: Tensor,
        y_orig: Tensor,
        bs: int = 250,
        return_labels: bool = False,
        state_path: str | Path | None = None,
        *,
        batch_size: int | None = None,
    ) -> Any:
        """Run the whole ensemble; an image that one attack has broken is not attacked again.

        Args:
            x_orig: Images (n, C, H, W), floating point, in [0, 1].
            y_orig: Labels (n,), integers from 0.
            bs: Images attacked at once.
            return_labels: Also return the predicted labels of the result.
            state_path: A file to keep the state in while the attack runs. A call that finds the
                state of the same attack there continues it, and returns all examples.
            batch_size: Another name for `bs`, as in pyautoattack; the labels are then returned.

        Returns:
            The images `x_adv` (n, C, H, W) in [0, 1] with the adversarial example where one was
            found, and the clean image elsewhere. With `return_labels` or `batch_size`, the pair
            `(x_adv, y_adv)`, where `y_adv` (n,) are the predictions.

        Raises:
            RbmixError: If an argument is wrong, if the network draws random numbers, or if
                `state_path` holds the state of another attack.
        """
        dataset = dataset_of((x_orig, y_orig))
        size = bs if batch_size is None else batch_size
        self.flags = {}
        x_adv = self._run(self.attacks_to_run, dataset, size, state_path)
        with_labels = return_labels or batch_size is not None
        return self._returned(x_adv, x_orig, size, with_labels)

    @default_modes()
    def run_standard_evaluation_individual(
        self,
        x_orig: Tensor,
        y_orig: Tensor,
        bs: int = 250,
        return_labels: bool = False,
        *,
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Run each attack alone, on every image.

        Args:
            x_orig: Images (n, C, H, W), floating point, in [0, 1].
            y_orig: Labels (n,), integers from 0.
            bs: Images attacked at once.
            return_labels: Also return the predicted labels of each result.
            batch_size: Another name for `bs`, as in pyautoattack; the labels are then returned.

        Returns:
            For each attack's name, the return value of `run_standard_evaluation` for it alone.

        Raises:
            RbmixError: If an argument is wrong, or if the network draws random numbers.
        """
        dataset = dataset_of((x_orig, y_orig))
        size = bs if batch_size is None else batch_size
        with_labels = return_labels or batch_size is not None
        self.flags = {}
        return {
            name: self._returned(self._run([name], dataset, size), x_orig, size, with_labels)
            for name in self.attacks_to_run
        }

    @default_modes()
    def clean_accuracy(self, x_orig: Tensor, y_orig: Tensor, bs: int = 250) -> float:
        """Return the share of images that the model, in eval mode, classifies correctly.

        Args:
            x_orig: Images (n, C, H, W), floating point, in [0, 1].
            y_orig: Labels (n,), integers from 0.
            bs: Images in each forward pass.

        Returns:
            A share from 0 to 1.
        """
        images = dataset_of((x_orig, y_orig)).test
        correct = self._predict(images.images, bs) == images.labels
        share = float(correct.float().mean())
        self._log([f"clean accuracy: {share:.2%}"])
        return share

    def _run(
        self,
        components: list[str],
        dataset: Dataset,
        batch_size: int,
        state_path: str | Path | None = None,
    ) -> Tensor:
        """Run these attacks; return the images with the examples found, on the CPU."""
        started = time.perf_counter()
        norm, components = norms.parse(self.norm), list(components)
        if not components:
            raise RbmixError("attacks_to_run is empty (needs one or more attacks)")
        eps, options = parse_grid(texts_of(self.epsilon), norm), self._attacks.options(components)
        if len(eps) > 1:
            raise RbmixError(f"eps = {self.epsilon!r} is several (needs one; `curve` takes many)")
        draws = self.version == "rand" or self._attacks.is_averaged(components)
        plan = EvaluationPlan(
            model=module_plan(self.model, self.get_seed()),
            data=DataPlan(dataset, len(dataset.test)),
            attack=attack_plan(
                Protocol("autoattack", "", "autoattack", norm, eps, options),
                randomised=draws, batch_size=batch_size,
            ),
            device=device_of(self.model, self.device),
        )  # fmt: skip
        kept = None if state_path is None else Path(state_path)
        if kept is not None:
            check_parent("state_path", kept)
        run, found = find_examples(plan, kept)
        raised = flags.of_run(run)
        self.flags = {**self.flags, **raised}
        seconds = time.perf_counter() - started
        self._log(lines_of(run, found, dataset.test.images, components, seconds, raised))
        return found

    def _returned(self, x_adv: Tensor, like: Any, batch_size: int, with_labels: bool) -> Any:
        """Return the examples on the caller's device, with their predictions if they are wanted."""
        home = like.device if isinstance(like, Tensor) else x_adv.device
        if not with_labels:
            return x_adv.to(home)
        return x_adv.to(home), self._predict(x_adv, batch_size).to(home)

    def _predict(self, images: Tensor, batch_size: int) -> Tensor:
        """Return the predictions of the network in eval mode, (n,) on the CPU."""
        home = pick_device(device_of(self.model, self.device))
        network = adapt(as_module(self.model), images[:2])
        with torch.no_grad(), borrow(network, home):
            counted = CountedModel(network)
            parts = [counted(part.to(home)).argmax(1) for part in torch.split(images, batch_size)]
        return torch.cat(parts).cpu()

    def _log(self, lines: list[str]) -> None:
        for line in lines:
            self.logger.log(line, quiet=not self.verbose)


# What can be set on an `AutoAttack`, beside its arguments.
ATTRIBUTES = (
    "model", "norm", "epsilon", "seed", "verbose", "version", "attacks_to_run", "is_tf_model",
    "device", "logger", "flags", "apgd", "apgd_targeted", "fab", "square", "_attacks",
)  # fmt: skip
