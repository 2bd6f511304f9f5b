"""`python -m robustbench_mix` is `rbmix`."""

from robustbench_mix.cli import entry

if __name__ == "__main__":
    entry()
