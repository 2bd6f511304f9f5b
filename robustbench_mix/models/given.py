"""Take a network in whatever form it is given, and return it as a module.

`as_module` accepts modules, functions, objects that can be called, and programs of TorchScript and
`torch.export`. `adapt` then tries the module on images. What it returns maps float32 images to
float32 logits, so that nothing behind it has to know other precisions or other outputs.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from robustbench_mix.errors import FOREIGN, RbmixError, first_line, is_out_of_memory
from robustbench_mix.models.buffers import keep_buffers
from robustbench_mix.models.outputs import check_logits, find_logits, tell_choice
from robustbench_mix.runtime.attributes import attributes_of
from robustbench_mix.runtime.random_state import own_random_state

# Errors that the size of the images may be the reason for; not that of the batch, dimension 0.
SIZE = re.compile(r"size(?!\(\)\[0\])|shape|dimension|resolution|height", re.IGNORECASE)
CHANNELS = re.compile("channels", re.IGNORECASE)  # which no resizing changes
RESIZE = "nn.Sequential(nn.Upsample(N), model) resizes them"
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
Network = nn.Module | Callable[[Tensor], object]  # from images (n, C, H, W) to logits (n, classes)
DEPTH = 4  # how many objects deep a callable is searched for networks
MAX_ITEMS = 1000  # longest list that is searched, which rather holds data
# A wrapper around a module, by its class: the attribute with the module that computes the same.
WRAPPERS = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}


class Called(nn.Module):
    """A function, or an object that can be called, as a module: images to its output.

    Args:
        call: The callable.
        inside: The networks that it uses, which share its mode, device and gradient flags.
    """

    def __init__(self, call: Callable[[Tensor], Any], inside: list[nn.Module]) -> None:
        super().__init__()
        self.call = call
        self.inside = nn.ModuleList(inside)

    def forward(self, x: Tensor) -> Any:
        return self.call(x)


class Adapted(nn.Module):
    """A network as float32 images (B, C, H, W) to float32 logits (B, classes).

    Args:
        net: The network.
        dtype: The precision of its images.
        copies: Whether it gets a copy of the images, because it changes them in place.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype, *, copies: bool) -> None:
        super().__init__()
        self.net = net
        self.dtype = dtype
        self.copies = copies
        self.channels_last = getattr(net, "channels_last", False)

    def forward(self, x: Tensor) -> Tensor:
        given = x.to(self.dtype)
        if self.copies and self.dtype == x.dtype:
            given = given.clone()
        return find_logits(self.net(given), len(x))[0].float()


def as_module(given: object) -> nn.Module:
    """Return a network of any form as a module; a module of the usual kind is returned itself.

    Args:
        given: A module, or anything that maps a batch of images to logits when it is called.

    Raises:
        RbmixError: It cannot be called, or has weights without a shape.
    """
    if isinstance(given, torch.export.ExportedProgram):
        given = given.module()
    while (kind := type(given).__name__) in WRAPPERS and isinstance(given, nn.Module):
        given = getattr(given, WRAPPERS[kind])
    if isinstance(given, nn.Module):
        _check_weights(given)
        return _usual(given)
    given = getattr(given, "_torchdynamo_orig_callable", given)
    if isinstance(given, type) or not callable(given):
        what = (
            f"the class {given.__name__}"
            if isinstance(given, type)
            else f"a {type(given).__name__}"
        )
        raise RbmixError(
            f"model is {what} (needs a name, an nn.Module, or a function or object that maps "
            "images to logits)"
        )
    net = Called(given, networks_inside(given))
    _check_weights(net)
    if any(map(torch.is_inference, _weights(net))):
        raise RbmixError(
            "the weights of the model were made in inference mode and have no gradients (needs "
            "the module itself, or weights that were made outside of it)"
        )
    return net


def _weights(net: nn.Module) -> tuple[Tensor, ...]:
    """Return the parameters and buffers of a network."""
    return (*net.parameters(), *net.buffers())


def _check_weights(net: nn.Module) -> None:
    """Raise RbmixError for a network whose layers do not know their shape yet."""
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        if is_lazy(tensor):
            raise RbmixError(
                f"model has no weights {name} yet, because its layers are lazy (needs a network "
                "that some images went through once)"
            )


def _usual(net: nn.Module) -> nn.Module:
    """Return a network whose parts can all be put into eval mode, and whose weights have gradients.

    Frozen TorchScript has no mode, and exported programs refuse to change theirs; weights that were
    made in inference mode can be neither changed nor used in a gradient. Such a network is copied.
    The copy gets the usual methods, which change nothing that was compiled, and usual weights.
    """

    def is_odd(part: nn.Module) -> bool:
        return not hasattr(part, "training") or "train" in vars(part)

    if not any(map(is_odd, net.modules())) and not any(map(torch.is_inference, _weights(net))):
        return net
    own = copy.deepcopy(net)
    for part in own.modules():
        if not hasattr(part, "training"):
            part.training = False
        for name in {"train", "eval"} & vars(part).keys():
            delattr(part, name)
    return own


def networks_inside(call: object) -> list[nn.Module]:
    """Return the networks that a function or an object uses: its attributes, closure and globals.

    Args:
        call: The callable.
    """
    found: list[nn.Module] = []
    seen: set[int] = set()
    ahead = [(call, DEPTH)]
    for value, depth in ahead:  # grows in the loop
        if id(value) in seen or isinstance(value, type | types.ModuleType | Tensor):
            continue
        seen.add(id(value))
        if isinstance(value, nn.Module):
            found.append(value)
        elif depth:
            ahead += [(part, depth - 1) for part in _parts(value)]
    return found


def _parts(value: object) -> list[object]:
    """Return what an object consists of."""
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, types.FunctionType):
        used = inspect.getclosurevars(value)
        return [*used.nonlocals.values(), *used.globals.values(), *(value.__defaults__ or ())]
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set):
        return list(value) if len(value) <= MAX_ITEMS else []
    methods = [vars(kind)["__call__"] for kind in type(value).__mro__ if "__call__" in vars(kind)]
    return [*attributes_of(value).values(), *methods[:1]]


def device_of(net: nn.Module) -> torch.device:
    """Return the device of a network: that of its first parameter or buffer, else the CPU."""
    tensors = _weights(net)
    return tensors[0].device if tensors else torch.device("cpu")


@torch.no_grad()
def adapt(net: nn.Module, x: Tensor, word: str = "the network", resize: str = RESIZE) -> nn.Module:
    """Return a network that maps float32 images to float32 logits and leaves the images alone.

    Args:
        net: A network, as `as_module` returns it.
        x: A few images that fit it, (B, C, H, W) float32. They are passed once, in eval mode.
        word: What the network is called in messages.
        resize: How images can be resized, for the message that their size may be wrong.

    Returns:
        The network itself if it is of this kind already, else an `Adapted` one.

    Warns:
        UserWarning: The network returns more than logits; says what is taken.

    Raises:
        RbmixError: The network fails on the images, or returns nothing that looks like logits.
    """
    with _in_eval_mode(net, word):
        output, dtype, is_changed = _try(net, x.to(device_of(net)), word, resize)
    logits, choice = find_logits(output, len(x), word)
    check_logits(logits, len(x), word)
    tell_choice(choice)
    if output is logits and not is_changed and dtype == logits.dtype == torch.float32:
        return net
    return Adapted(net, dtype, copies=is_changed)


def _try(net: nn.Module, x: Tensor, word: str, resize: str) -> tuple[Any, torch.dtype, bool]:
    """Pass the images in each precision of the network's weights until one works.

    Returns:
        The output, the precision of the images, and whether they were changed in place.
    """
    first: Exception | SystemExit | None = None
    for dtype in _precisions(net):
        given = x.to(dtype, copy=True)
        version = given._version
        try:
            output = net(given)
        except FOREIGN as error:  # whatever a foreign network raises
            if is_out_of_memory(error) or isinstance(error, RbmixError):
                raise
            first = first or error
        else:
            return output, dtype, given._version != version
    assert first is not None
    said = str(first)
    hint = f"; {resize}" if SIZE.search(said) and not CHANNELS.search(said) else ""
    raise RbmixError(
        f"{word} cannot take images of shape {tuple(x.shape[1:])} "
        f"({type(first).__name__}: {first_line(first)}){hint}"
    ) from first


def _precisions(net: nn.Module) -> list[torch.dtype]:
    """Return the precisions of a network's weights, the first one first, and then all others.

    The weights of a function or a frozen program cannot be seen.
    """
    floats = [one.dtype for one in _weights(net) if one.is_floating_point()]
    return list(dict.fromkeys([*floats, *PRECISIONS]))


def precision_of(net: nn.Module) -> str:
    """Return the precision of a network's parameters in words, `float32` if it has none."""
    kinds = {str(one.dtype).removeprefix("torch.") for one in net.parameters()}
    return ", ".join(sorted(kinds)) or "float32"


@contextmanager
def _in_eval_mode(net: nn.Module, word: str) -> Iterator[None]:
    """Put the network into eval mode, and restore modes, buffers and random state after it."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        with keep_buffers(net), own_random_state(device_of(net)):
            try:
                net.eval()
            except FOREIGN as error:  # whatever a foreign network raises
                raise RbmixError(
                    f"{word} cannot be put into eval mode ({type(error).__name__}: "
                    f"{first_line(error)})"
                ) from error
            yield
    finally:
        for module, training in modes:
            module.training = training
