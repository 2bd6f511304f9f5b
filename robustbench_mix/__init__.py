"""rbmix: adversarial robustness of learned-versus-random spatial mixing, with evidence."""

__version__ = "0.1.0"
