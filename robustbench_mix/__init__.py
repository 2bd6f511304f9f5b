"""rbmix: adversarial robustness of learned-versus-random spatial mixing, with evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustbench_mix.api import AutoAttack, Curve, curve

__version__ = "0.1.0"
__all__ = ["AutoAttack", "Curve", "__version__", "curve"]


def __getattr__(name: str) -> Any:
    """Load the Python interface when it is first used: the commands start without torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from robustbench_mix import api

    return getattr(api, name)
