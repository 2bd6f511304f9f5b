"""Commands in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robustbench_mix import cli

Rbmix = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rbmix(capsys: pytest.CaptureFixture[str]) -> Rbmix:
    """A function that runs a command: exit code, standard output, standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        code = cli.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list]:
    """A function that takes the place of another, by its path: it keeps what it is given."""

    def take(path: str) -> list:
        given: list = []

        def keep(*arguments: object, **options: object) -> None:
            given.append((*arguments, options) if options else arguments)
            raise KeyboardInterrupt  # a plan is all that is wanted

        monkeypatch.setattr(path, keep)
        return given

    return take
