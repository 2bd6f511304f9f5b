"""Read files of weights by their content, without running code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from robustbench_mix.errors import RbmixError
from robustbench_mix.storage import reading

HEAD_BYTES = 512
TORCH_STARTS = (b"PK", b"\x80")  # of a zip archive, and of the older pickle
# What training scripts keep beside the weights. It is read as a placeholder; none of it runs.
BYSTANDERS = (
    "argparse.Namespace",
    "datetime.datetime",
    "datetime.timedelta",
    "decimal.Decimal",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "numpy.dtype",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "types.SimpleNamespace",
)


class _Placeholder:
    """Stand for an object that is no tensor, and keep nothing of it."""

    def __new__(cls, *_: Any, **__: Any) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass


def read_weights(path: Path) -> Any:
    """Return what a safetensors file or a file of `torch.save` holds, whatever its suffix.

    Files of `torch.save` are read with `weights_only=True`, which runs no code.

    Raises:
        RbmixError: The file is missing, damaged, or holds more than tensors and plain values.
    """
    from safetensors.torch import load_file

    if not path.exists():
        raise RbmixError(f"checkpoint {path} does not exist")
    size = reading.check_file(path, "checkpoint", reading.MAX_WEIGHTS_BYTES).st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if found := _other_content(head):
        raise RbmixError(f"checkpoint {path} is damaged (it is {found})")
    is_torch = head.startswith(TORCH_STARTS) and not _is_safetensors(head, size)
    is_safetensors = not is_torch and (path.suffix == ".safetensors" or _is_safetensors(head, size))
    if not is_safetensors and not is_torch:
        raise RbmixError(
            f"checkpoint {path} is neither a safetensors file nor one that torch.save writes"
        )
    with reading.refuse_on_error(_damaged(path)):
        return load_file(path) if is_safetensors else _read_pickled(path)


def _other_content(head: bytes) -> str:
    """Return what a file is that is no file of weights at all, '' if it may be one."""
    text = head.lstrip().lower()
    if not head:
        return "an empty file"
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS (git lfs pull fetches the file)"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page (of a download that failed)"
    return ""


def _is_safetensors(head: bytes, size: int) -> bool:
    return head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size


def _damaged(path: Path) -> str:
    return f"checkpoint {path} is damaged, or neither torch.save nor safetensors made it"


def _read_pickled(path: Path) -> Any:
    import pickle
    import warnings

    from torch.serialization import safe_globals

    inert: list[Any] = [(_Placeholder, name) for name in BYSTANDERS]
    refusal = f"checkpoint {path} is refused: it holds more than tensors"
    try:
        with warnings.catch_warnings(), safe_globals(inert), path.open("rb") as file:
            warnings.simplefilter("ignore")  # about old pickle protocols
            # An open file, because torch.load looks at suffixes too.
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, ValueError) as error:
        named = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
        if not named:
            broken = "Unsupported operand" in str(error)  # no pickle at all
            raise RbmixError(_damaged(path) if broken else refusal) from error
        raise RbmixError(f"{refusal} ({named[1]}); save its state_dict() alone") from error
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
        raise RbmixError(f"{refusal} (TorchScript); save its state_dict() alone") from error
