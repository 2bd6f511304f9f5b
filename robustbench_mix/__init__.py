"""rbmix: adversarial robustness of learned-versus-random spatial mixing, with evidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustbench_mix.api.autoattack import AutoAttack
    from robustbench_mix.api.curve import Curve, curve
    from robustbench_mix.api.evaluate import evaluate
    from robustbench_mix.api.result import Result
    from robustbench_mix.config.protocols import Protocol
    from robustbench_mix.errors import RbmixError

__version__ = "0.1.0"
__all__ = [
    "AutoAttack",
    "Curve",
    "Protocol",
    "RbmixError",
    "Result",
    "__version__",
    "curve",
    "evaluate",
]
HOME = {
    "AutoAttack": "api.autoattack",
    "Curve": "api.curve",
    "Protocol": "config.protocols",
    "RbmixError": "errors",
    "Result": "api.result",
    "curve": "api.curve",
    "evaluate": "api.evaluate",
}


def __getattr__(name: str) -> Any:
    """Load the Python interface when it is first used: the commands start without torch."""
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)
