"""`hf:owner/name`: networks on the Hugging Face hub in timm's format, an optional extra.

Such a repository has a `config.json` that names the architecture and the weights as
`model.safetensors`; `hf:owner/name@revision` pins a revision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from robustbench_mix.config.catalog import check_repository
from robustbench_mix.data.shape import Shape
from robustbench_mix.errors import RbmixError, first_line
from robustbench_mix.models import state_dict
from robustbench_mix.models.sources import timm_models
from robustbench_mix.models.sources.common import (
    Pretrained,
    announce_download,
    download_error,
    import_optional,
)

COMES_WITH_WEIGHTS = True


def check(name: str) -> None:
    """Raise RbmixError unless the name has the form `owner/name` or `owner/name@revision`."""
    check_repository(name)
    for package in ("huggingface_hub", "timm"):
        import_optional(package, f"hf:{name}", "hf")


def build(name: str, shape: Shape) -> nn.Module:
    """Build the architecture of the repository's configuration for a shape."""
    check(name)
    model: nn.Module = _create(name, num_classes=shape.classes, in_chans=shape.channels)
    return model


def load_pretrained(name: str) -> Pretrained:
    """Load the network with the repository's `model.safetensors`.

    Raises:
        RbmixError: The file cannot be downloaded, or does not fit the architecture.
    """
    check(name)
    model = _create(name)
    repository, _, revision = name.partition("@")
    hub = import_optional("huggingface_hub", f"hf:{name}", "hf")
    try:
        path = Path(hub.hf_hub_download(repository, "model.safetensors", revision=revision or None))
    except _download_errors() as error:
        raise download_error(f"hf:{name}", error) from error
    state_dict.load(model, path)
    return timm_models.as_pretrained(model, f"hf:{repository}@{path.parent.name[:12]}")


def _create(name: str, **options: Any) -> Any:
    timm = import_optional("timm", f"hf:{name}", "hf")
    announce_download(f"hf:{name}")
    try:
        return timm.create_model(f"hf-hub:{name}", pretrained=False, **options)
    except _download_errors() as error:
        raise download_error(f"hf:{name}", error) from error
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise RbmixError(
            f"model 'hf:{name}' is not in timm's format: its config.json names no architecture "
            f"that timm can build ({type(error).__name__}: {first_line(error)})"
        ) from error


def _download_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the hub's client for a missing file, network or repository."""
    errors = import_optional("huggingface_hub.errors", "hf:", "hf")
    return OSError, errors.EntryNotFoundError, errors.HfHubHTTPError, errors.HFValidationError
