"""A drop-in for the class `AutoAttack`, on the road of `evaluate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from torch import Tensor

from robustbench_mix.api.autoattack_log import Log, check_parent, lines_of
from robustbench_mix.api.autoattack_plan import ensemble_plan
from robustbench_mix.api.autoattack_settings import VERSIONS, Attacks, AttackSettings
from robustbench_mix.api.calls import Device, device_of, find_examples, logits_of
from robustbench_mix.config import norms
from robustbench_mix.config.epsilon import Radius
from robustbench_mix.config.norms import ROBUSTBENCH
from robustbench_mix.config.words import Component, Norm, Version
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.data.tensors import dataset_of
from robustbench_mix.errors import RbmixError, unknown
from robustbench_mix.evaluation.harness import check_classes
from robustbench_mix.models.given import Network
from robustbench_mix.models.outputs import find_logits
from robustbench_mix.results import flags
from robustbench_mix.runtime.torch_modes import default_modes

Pair = tuple[Tensor, Tensor]  # images (n, C, H, W) and predictions (n,)


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
    version: Version

    def __init__(
        self,
        model: Network,
        norm: Norm = "Linf",
        eps: Radius = 0.3,
        seed: int | None = None,
        verbose: bool = True,
        attacks_to_run: Sequence[Component] | None = None,
        version: Version = "standard",
        is_tf_model: bool = False,
        device: Device | None = None,
        log_path: str | Path | None = None,
        *,
        attacks: Sequence[Component] | None = None,
    ) -> None:
        if is_tf_model:
            raise RbmixError("is_tf_model=True: only PyTorch models can be attacked")
        chosen = attacks_to_run or attacks
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
        self.attacks_to_run: Sequence[Component] = []
        self.set_version(version)
        if chosen and version != "custom":
            raise RbmixError(f"the attacks {chosen} go with version='custom'")
        if chosen:
            self.attacks_to_run = chosen

    def __setattr__(self, name: str, value: object) -> None:
        if name not in ATTRIBUTES:
            public = sorted(one for one in ATTRIBUTES if not one.startswith("_"))
            raise unknown("setting of AutoAttack", name, public)
        if name == "version" and value != self.__dict__.get(name, value):
            raise RbmixError(f"version = {value!r}: set_version({value!r}) changes it")
        super().__setattr__(name, value)

    def set_version(self, version: Version = "standard") -> None:
        """Choose a version: its attacks, and their settings.

        Args:
            version: As for the class.

        Raises:
            RbmixError: There is no such version.
        """
        if version not in VERSIONS:
            raise unknown("version", version, VERSIONS)
        self.__dict__["version"] = version
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
        return find_logits(self.model(x), len(x))[0]

    @overload
    def run_standard_evaluation(
        self, x_orig: Tensor, y_orig: Tensor, bs: int = ..., return_labels: Literal[False] = ...,
        state_path: str | Path | None = ...,
    ) -> Tensor: ...  # fmt: skip
    @overload
    def run_standard_evaluation(
        self, x_orig: Tensor, y_orig: Tensor, bs: int = ..., *, return_labels: Literal[True],
        state_path: str | Path | None = ...,
    ) -> Pair: ...  # fmt: skip
    @overload
    def run_standard_evaluation(
        self, x_orig: Tensor, y_orig: Tensor, *, batch_size: int,
        state_path: str | Path | None = ...,
    ) -> Pair: ...  # fmt: skip
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
    ) -> Tensor | Pair:
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
    ) -> dict[str, Tensor | Pair]:
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
        logits = logits_of(self.model, images.images, bs, self.device)
        check_classes(logits.shape[1], images)
        correct = logits.argmax(1) == images.labels
        share = float(correct.float().mean())
        self._log([f"clean accuracy: {share:.2%}"])
        return share

    def _run(
        self,
        components: Sequence[str],
        dataset: Dataset,
        batch_size: int,
        state_path: str | Path | None = None,
    ) -> Tensor:
        """Run these attacks; return the images with the examples found, on the CPU."""
        started = time.perf_counter()
        plan = ensemble_plan(self, dataset, components, batch_size)
        kept = None if state_path is None else Path(state_path)
        if kept is not None:
            check_parent("state_path", kept)
        run, found = find_examples(plan, kept)
        raised = flags.of_run(run)
        self.flags = {**self.flags, **raised}
        seconds = time.perf_counter() - started
        self._log(lines_of(run, found, dataset.test.images, list(components), seconds, raised))
        return found

    def _returned(
        self, x_adv: Tensor, like: object, batch_size: int, with_labels: bool
    ) -> Tensor | Pair:
        """Return the examples on the caller's device, with their predictions if they are wanted."""
        home = like.device if isinstance(like, Tensor) else x_adv.device
        if not with_labels:
            return x_adv.to(home)
        logits = logits_of(self.model, x_adv, batch_size, self.device)
        return x_adv.to(home), logits.argmax(1).to(home)

    def _log(self, lines: list[str]) -> None:
        for line in lines:
            self.logger.log(line, quiet=not self.verbose)


# What can be set on an `AutoAttack`, beside its arguments.
ATTRIBUTES = (
    "model", "norm", "epsilon", "seed", "verbose", "version", "attacks_to_run", "is_tf_model",
    "device", "logger", "flags", "apgd", "apgd_targeted", "fab", "square", "_attacks",
)  # fmt: skip
