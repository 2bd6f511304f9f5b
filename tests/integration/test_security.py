"""Nobody gets in: what the source may not say, and what files, names and sizes may not do."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from msgspec import structs
from PIL import Image
from safetensors.torch import save
from torch import nn

import robustbench_mix
from robustbench_mix import cli
from robustbench_mix.claims import html_report
from robustbench_mix.cli import render_evaluation
from robustbench_mix.config import protocols
from robustbench_mix.data import image_folder, loaders
from robustbench_mix.errors import MAX_CHARACTERS, RbmixError, one_line
from robustbench_mix.models import checkpoint, state_dict
from robustbench_mix.models.sources import importable
from robustbench_mix.results import gallery, leaderboard, probes, records, svg, unshuffling
from robustbench_mix.results.headers import NetworkHeader, ProbeIdentity
from robustbench_mix.results.markdown import line, plain
from robustbench_mix.runtime import progress
from robustbench_mix.storage import files, parquet_table, reading
from robustbench_mix.sweeps import definition

PACKAGE = Path(robustbench_mix.__file__).parent
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "yaml", "code", "runpy"}
# The user's own model, optional packages, our own parts, the libraries of a list of ours.
BY_NAME = ("imports.py", "common.py", "__init__.py", "peers.py")
# What they trust is our own stylesheet and script, a drawing, a serialised XML tree, or a text that
# they have escaped; the test of every string of a record goes through all of them.
MARKUP = ("html_report.py", "inline_drawing.py", "charts.py", "emphasis.py", "run_images.py")
SCRIPTS = {
    '<script type="application/json" id="run-data">{{ run_data }}</script>',
    '<script type="application/json" id="example-data">{{ example_data }}</script>',
    "<script>{{ script }}</script>",
}
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("torch", "hub")}


def offences(source: str, file: str = "x.py") -> list[str]:
    """What the source says that could run the text or the pickle of a stranger."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += _of_import(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = (node.value.id, node.attr)
            # The name of its error is all that may be used of pickle.
            if owner in SHELLS or (owner[0] == "pickle" and owner[1] != "UnpicklingError"):
                found.append(".".join(owner))
        elif isinstance(node, ast.Call):
            found += _of_call(node, file)
    return found


def _of_import(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [f"from {node.module}"] if (node.module or "").split(".")[0] in MODULES else []
    names = {alias.name.split(".")[0] for alias in node.names}
    return [f"import {name}" for name in names & (MODULES - {"pickle"})]


def _of_call(node: ast.Call, file: str) -> list[str]:
    name = ast.unparse(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    wrong = {
        "a call of text": name in RUNS_TEXT,
        "a shell": given.get("shell", "False") != "False",
        "torch.load of code": name == "torch.load" and given.get("weights_only") != "True",
        "numpy's pickles": given.get("allow_pickle", "False") != "False",
        "pandas's pickles": name.endswith("read_pickle"),
        "HTML unescaped": name.endswith("Environment") and given.get("autoescape") != "True",
        # `format` escapes what is put into a text of ours.
        "HTML trusted": name.endswith("Markup")
        and not all(isinstance(text, ast.Constant) for text in node.args)
        and file not in MARKUP,
        "an import by name": name.endswith("import_module") and file not in BY_NAME,
        "an archive unpacked": name.endswith(("extractall", "unpack_archive")),
        "an image of any format": name == "Image.open" and "formats" not in given,
    }
    return [what for what, is_so in wrong.items() if is_so]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.name)
def test_the_source_runs_nobodys_text(path: Path) -> None:
    """No eval, no pickle, no YAML, no shell; `torch.load` reads tensors; HTML is escaped."""
    assert offences(path.read_text(encoding="utf-8"), path.name) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')", "exec(text)", "compile(a, b, 'exec')", "import yaml", "import a, marshal",
        "from pickle import loads", "import pickle\npickle.loads(b'')", "os.system('x')",
        "subprocess.run('x', shell=True)", "subprocess.run('x', shell=wanted)", "torch.load(path)",
        "torch.load(path, weights_only=False)", "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)", "Environment(loader=x)", "jinja2.Environment(autoescape=False)",
        "importlib.import_module(name)", "tar.extractall(folder)", "Image.open(file)",
        "def f():\n    return __import__(name)", "Markup(text)",
    ],
)  # fmt: skip
def test_the_check_of_the_source_can_fail(source: str) -> None:
    """It sees each of what it looks for, and lets ordinary code pass."""
    assert offences(source)
    assert offences("torch.load(p, weights_only=True)\nimport pickle\npickle.UnpicklingError") == []


def test_templates_escape_everything() -> None:
    """No template says that a text is safe, switches the escaping off, or has more scripts."""
    pages = sorted((PACKAGE / "claims" / "pages").iterdir())
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not any(word in text for word in ("|safe", "| safe", "autoescape"))
        assert {one for one in text.splitlines() if "<script" in one} <= SCRIPTS


# Models by name


def test_only_the_command_line_names_code(tmp_path: Path, home: Path, monkeypatch, capsys) -> None:
    """A sweep that names a module is refused and imports nothing; the user may name it."""
    (tmp_path / "theirs.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    (tmp_path / "sweep.toml").write_text('[[grid]]\nmodels = ["theirs:make"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    assert cli.main(["sweep", "sweep.toml", "--plan"]) == 2
    assert "model 'theirs:make' is code, which no sweep imports" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()
    assert cli.main(["evaluate", "--model", "theirs:make", "--attack", "smoke"]) == 2
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", [":", "x:", ":x", ".a:b", "..:x", "a\0b:c", "json:nothing", "json:x.y"]
)
def test_odd_names_of_code(name: str) -> None:
    """One line that names it."""
    with pytest.raises(RbmixError, match="model '"):
        importable.load_pretrained(name)


@pytest.mark.parametrize(
    "body", ["1 / 0", "def make(: pass", "def make():\n    raise ValueError()"]
)
def test_own_code_that_fails_is_one_line(tmp_path: Path, body: str, monkeypatch) -> None:
    """Whatever the user's module raises, the message names the model."""
    (tmp_path / "badnet.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "badnet", raising=False)
    with pytest.raises(RbmixError, match=r"model 'badnet:make'"):
        importable.load_pretrained("badnet:make")


# Paths


@pytest.mark.parametrize(
    "value", ["/etc/passwd.toml", "../up.toml", "a/../../up.toml", "./link/x.toml", "..", "a\0/b"]
)
@pytest.mark.parametrize("field", ["attacks", "datasets"])
def test_paths_in_a_sweep_stay_in_its_folder(tmp_path: Path, field: str, value: str) -> None:
    """Upwards, absolute, or through a link: refused by name; beside the file is allowed."""
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    path = folder / "sweep.toml"
    path.write_text(f"[[grid]]\n{field} = [{json.dumps(value)}]\n")
    with pytest.raises(RbmixError, match=f"field '{field}' holds"):
        definition.load(str(path), {})
    path.write_text(f'[[grid]]\n{field} = ["./mine.toml"]\n')
    (cell,) = definition.load(str(path), {}).cells
    assert str(folder / "mine.toml") in (cell.dataset, *cell.attacks)


NAMES = ["..", ".", "../../up", "/abs", "a/b", "a\\b", "x" * 400, "a\0b", "a\nb", "é", "\ud800"]


@pytest.mark.parametrize("name", NAMES)
def test_names_never_lead_elsewhere(tmp_path: Path, make_run, name: str) -> None:
    """As part of a path they stay in their folder, short enough for any system."""
    assert len(files.safe_name(name)) <= files.MAX_NAME_CHARACTERS
    path = tmp_path / files.safe_name(name)
    assert path.resolve().parent == tmp_path.resolve()
    run = structs.replace(make_run([0]).header, model=name, dataset=name)
    fields = {one: getattr(run, one) for one in NetworkHeader.__struct_fields__}
    probe = ProbeIdentity(**fields, kind="probe", eps=["1/255"])
    for kind, made in (
        ("probes", probes.path_for(tmp_path, probe, "k")),
        ("unshuffle", unshuffling.path_for(tmp_path, name, name, "frozen", 0, "k")),
        ("runs", records.run_path(tmp_path, run, "k")),
    ):
        assert made.resolve().parent.parent == (tmp_path / kind).resolve()


def test_long_names_stay_apart() -> None:
    """What is cut off still counts."""
    assert files.safe_name("x" * 400) != files.safe_name("x" * 401)
    assert files.safe_name("resnet14_w4-frozen") == "resnet14_w4-frozen"


# What is no ordinary file


def odd_files(folder: Path) -> list[Path]:
    """A folder, a pipe, a loop of links, a device, a file that is not there."""
    (folder / "folder.toml").mkdir()
    os.mkfifo(folder / "pipe.toml")
    (folder / "loop.toml").symlink_to(folder / "loop.toml")
    (folder / "zero.toml").symlink_to("/dev/zero")
    names = ("folder", "pipe", "loop", "zero", "nowhere")
    return [folder / f"{name}.toml" for name in names]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes of a name")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """None of them hangs, fills the memory or ends in a traceback, whoever reads it."""
    for path in odd_files(tmp_path):
        for read in (
            lambda p: protocols.load(str(p), "digits"),
            lambda p: definition.load(str(p), {}),
            lambda p: records.read(p),
            lambda p: probes.read_probe(p),
            lambda p: unshuffling.read(p),
            lambda p: checkpoint.read_header(p),
            lambda p: state_dict.load(nn.Linear(1, 1), p),
        ):
            with pytest.raises(RbmixError):
                read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes of a name")
def test_a_pipe_is_no_image(write_folder, home: Path) -> None:
    """Nor is a link to a device, or to nowhere."""
    for make in (os.mkfifo, lambda p: p.symlink_to("/dev/zero"), lambda p: p.symlink_to("nowhere")):
        path = write_folder(f"set{make}").joinpath("test/cat/9.png")
        make(path)
        with pytest.raises(RbmixError, match="cannot read image"):
            loaders.load(str(path.parents[2]))


@pytest.mark.parametrize("command", ["leaderboard", "claims", "report"])
def test_a_loop_of_links_is_no_results_folder(tmp_path: Path, command: str, capsys) -> None:
    """One line and exit code 2."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert cli.main([command, str(tmp_path / "loop")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# Sizes


@pytest.mark.default
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a" * (reading.MAX_SPEC_BYTES + 1), r"has 16,385 bytes \(allowed: at most 16,384\)"),
        (b"x = " + b"[" * 9000, "is not valid TOML"),
        (b"x = " + b"{a=" * 4000, "is not valid TOML"),
        (b"x = " + b"9" * 9000, "is not valid TOML"),
        (b"a\0b = 1", "is not valid TOML"),
        (b"a = '\xff\xfe'", "is not valid TOML"),
        (b"a = 1\na = 2", "is not valid TOML"),
        (b"a." * 8000 + b"b = 1", "is not valid TOML|unknown field"),
    ],
)
def test_specifications_that_are_too_much(tmp_path: Path, content: bytes, message: str) -> None:
    """Too long, too deep, too large a number, no text: one line, in seconds."""
    path = tmp_path / "spec.toml"
    path.write_bytes(content)
    started = time.monotonic()
    for load in (lambda: protocols.load(str(path), ""), lambda: definition.load(str(path), {})):
        with pytest.raises(RbmixError, match=message) as error:
            load()
        assert str(error.value).isprintable()
    assert time.monotonic() - started < 60


def test_grids_have_a_limit(tmp_path: Path) -> None:
    """A billion combinations are counted, not made; the limit is named."""
    raw = {"grid": [{"seeds": list(range(1000)), "models": ["a"] * 1000, "attacks": ["b"] * 1000}]}
    with pytest.raises(RbmixError, match=r"1,000,000,000 combinations \(allowed: up to 100,000\)"):
        definition.parse(raw, "x", {})
    with pytest.raises(RbmixError, match=r"2,000,000 values \(allowed: up to 1,000\)"):
        protocols.load("pgd", "digits", eps=["1/255"] * 2_000_000)


TOO_MUCH = [
    (["evaluate", "--examples", "1" + "0" * 30], "allowed: up to 100,000,000"),
    (["evaluate", "--batch-size", "9" * 18], "allowed: up to 1,000,000"),
    (["evaluate", "--batch-size", "-5"], "must be at least 1"),
    (["evaluate", "--seed", "9" * 30], "allowed: 0 to 4294967295"),
    (["evaluate", "--eps", "1/255," * 2000 + "1/255"], "allowed: up to 1,000"),
    (["evaluate", "--examples", "9" * 5000], "is not a whole number"),
    (["evaluate", "--dataset", "~nobody-of-that-name/x"], "is no path"),
    (["evaluate", "--dataset", "x" * 400], "unknown data set"),
    (["evaluate", "--dataset", "\x1b[31mred"], "unknown data set"),
    (["train", "--epochs", "1" + "0" * 18], "allowed: up to 100,000"),
    (["train", "--train-examples", "0"], "must be at least 1"),
    (["train", "--model", "resnet14_w999_d999"], "parameters (allowed: up to 1,000,000,000)"),
    (["train", "--model", "convmixer9999_999_k999_p8"], "parameters (allowed"),
    (["unshuffle", "--width", "9" * 12], "allowed: up to 9,999"),
    (["unshuffle", "--kernel", ",".join(["3"] * 1000), "--width", ",".join(["8"] * 1000)],
     "2,000,000 networks (allowed: up to 100,000)"),
    (["leaderboard", "x" * 400], "does not exist"),
    (["claims", "a\0b"], "is no path"),
    (["train", "\x1b]0;title\x07"], "extra argument"),
]  # fmt: skip


@pytest.mark.default
@pytest.mark.parametrize(
    ("words", "message"), TOO_MUCH, ids=[" ".join(w)[:40] for w, _ in TOO_MUCH]
)
def test_too_much_is_refused(
    words: list[str], message: str, tmp_path: Path, home: Path, capsys, monkeypatch
) -> None:
    """By its limit, in one line without a control character, before anything is written."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.endswith("\n")
    (last,) = [one for one in said.splitlines() if one.startswith("rbmix: ")]
    assert last.isprintable()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "home" not in path.parts]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_decompression_bombs_are_refused(write_folder, home: Path, monkeypatch) -> None:
    """By what the header says, before anything is decoded; also where memory would not do."""
    folder = write_folder("set")
    path = folder / "train" / "cat" / "0.png"
    path.write_bytes(bomb(2**16, 2**15))
    monkeypatch.setattr(Image.Image, "convert", None)  # never reached
    with pytest.raises(RbmixError, match=r"too large .*\(allowed: up to 16,777,216 pixels"):
        loaders.load(str(folder))
    path.write_bytes(bomb(2**13, 2**12))
    with pytest.raises(RbmixError, match=r"8192x4096 is too large .*up to 16,777,216 pixels"):
        loaders.load(str(folder))
    monkeypatch.undo()
    monkeypatch.setenv("RBMIX_HOME", str(home))
    path.write_bytes((folder / "train" / "cat" / "1.png").read_bytes())
    monkeypatch.setattr(image_folder, "total_memory_bytes", lambda: 1000)
    with pytest.raises(RbmixError, match=r"24 images of 8x8 take .*allowed: this machine's"):
        loaders.load(str(folder))
    assert not list(home.rglob("*.safetensors"))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PDF", "EPS"])
def test_other_decoders_are_never_started(write_folder, home: Path, kind: str) -> None:
    """Whatever a file is called, its content has to be of a format that is listed."""
    folder = write_folder("set")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format=kind)
    (folder / "train" / "cat" / "0.png").write_bytes(buffer.getvalue())
    with pytest.raises(RbmixError, match="cannot decode"):
        loaders.load(str(folder))


# Files that lie


def damaged(path: Path, make_run, **header: object) -> None:
    """Write records whose header is changed after all checks."""
    from pyarrow import parquet

    records.write(make_run([0, 1, 2]), path)
    table = parquet.read_table(path)
    changed = {**json.loads(table.schema.metadata[parquet_table.KEY]), **header}
    metadata = {parquet_table.KEY: json.dumps(changed).encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), path)


LIES = [
    {"model": "a\x1b[31m"}, {"dataset": "\u202eevil"}, {"model": ""}, {"model": "x" * 300},
    {"spatial": "nowhere"}, {"channel": 3}, {"seed": -1}, {"seed": True}, {"seed": 2**70},
    {"n": 4}, {"n": None}, {"n": float("nan")}, {"eps": []}, {"eps": ["2/255", "1/255"]},
    {"eps": ["x", "y"]}, {"eps": ["1/255"]}, {"norm": "l7"}, {"versions": None},
    {"versions": ["a"]}, {"passes": {"a": {"forward": "many"}}}, {"passes": []}, {"audit": [{}]},
    {"backend": "x"},
    {"audit": [{"sampled": 1, "broken": 9, "bound": 0.1}] * 2}, {"train_examples": "many"},
    {"diagnostics": {"images": 1}}, {"batch_size": 0}, {"protocol_spec": {}}, {"device": None},
]  # fmt: skip


@pytest.mark.default
@pytest.mark.parametrize("lie", LIES, ids=str)
def test_headers_of_records_are_checked(tmp_path: Path, make_run, lie: dict) -> None:
    """Every name and number of another kind is refused when it is read, not where it is used."""
    path = tmp_path / "a.parquet"
    damaged(path, make_run)
    records.read(path)
    damaged(path, make_run, **lie)
    with pytest.raises(RbmixError, match=r"records .* are damaged") as error:
        records.read(path)
    assert str(error.value).isprintable()


def test_parquet_bombs_are_refused(tmp_path: Path, make_run, monkeypatch) -> None:
    """By the numbers of rows, values and unpacked bytes, before they are unpacked."""
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    columns = {"image": pa.array([0]).take(pa.array([0] * (parquet_table.MAX_ROWS + 1)))}
    parquet.write_table(pa.table(columns).replace_schema_metadata({b"rbmix": b"{}"}), path)
    assert path.stat().st_size < 10**6
    with pytest.raises(RbmixError, match=r"1,000,001 rows \(allowed: up to 1,000,000\)"):
        parquet_table.read(path, {"image": "int64"}, parquet_table.TableHeader)
    damaged(path, make_run)
    monkeypatch.setattr(parquet_table, "MAX_VALUES", 5)
    with pytest.raises(RbmixError, match="more than 5 values"):
        records.read(path)
    monkeypatch.setattr(reading, "MAX_RECORDS_BYTES", path.stat().st_size - 1)
    with pytest.raises(RbmixError, match=r"bytes \(allowed: at most"):
        records.read(path)


def test_records_that_contradict_each_other(tmp_path: Path, make_run) -> None:
    """The same data cannot be other images, nor the same protocol another grid."""
    folder = tmp_path / "runs" / "digits"
    records.write(make_run([0, 1]), folder / "a.parquet")
    records.write(make_run([0, 1, 2], seed=1), folder / "b.parquet")
    with pytest.raises(RbmixError, match=r"b\.parquet contradict .*a\.parquet \(data d\)"):
        records.read_all(tmp_path)
    run = make_run([0, 1], seed=1, eps=["1/255", "4/255"])
    records.write(run, folder / "b.parquet")
    with pytest.raises(RbmixError, match=r"\(protocol p\)"):
        records.read_all(tmp_path)


def test_probes_on_other_grids_are_kept_apart(tmp_path: Path) -> None:
    """Twins are compared within the same epsilons, the ones with most records."""
    import fuzz_targets as made

    from robustbench_mix.claims.explanations import overview

    for seed, eps in ((0, ["1/255", "2/255"]), (1, ["1/255", "2/255"]), (2, ["4/255"])):
        for spatial in ("learned", "frozen"):
            header = {**made.PROBE, "spatial": spatial, "seed": seed, "eps": eps}
            columns = {
                **made.PROBE_COLUMNS,
                **dict.fromkeys(("real", "predicted"), [[0.1] * len(eps)] * 4),
            }
            made._write_records(made.probe_path(tmp_path, header), header, columns)
    found = overview.all_explanations([], probes.read_probes(tmp_path), [])
    (linear,) = (one for one in found if one.name == "linearity")
    assert [row[3:5] for row in linear.rows] == [["1/255", "2"], ["2/255", "2"]]


def test_a_damaged_resume_state_is_named(tmp_path: Path) -> None:
    """With its path and what is wrong with it."""
    import fuzz_choices
    import fuzz_targets as made

    made.make_run(fuzz_choices.Choices(b""), tmp_path)
    path = tmp_path / "run.partial.json"
    text = path.read_text()
    assert made.read_run(tmp_path) == "done"
    for old, new in (
        ('"batch_size": 2', '"batch_size": 0'),
        ("[1, 2, 0]", "[1, 2]"),
        ("[0, 1, 2]", "3"),
    ):
        path.write_text(text.replace(old, new))
        assert path.read_text() != text
        assert made.read_run(tmp_path) == "refused"


def test_a_lying_safetensors_header(tmp_path: Path) -> None:
    """Offsets outside the file, a header longer than it, and odd metadata are refused."""
    raw = save({"weight": torch.zeros(1, 1), "bias": torch.zeros(1)})
    size = int.from_bytes(raw[:8], "little")
    path = tmp_path / "a.safetensors"
    for content in (
        (2**40).to_bytes(8, "little") + raw[8:],
        raw.replace(b'"data_offsets":[0,4]', b'"data_offsets":[0,9]'),
        raw.replace(b"[1,1]", b"[9,9]"),
        raw[: 8 + size],
        b"",
    ):
        assert content != raw
        path.write_bytes(content)
        with pytest.raises(RbmixError, match="is damaged"):
            state_dict.load(nn.Linear(1, 1), path)
        with pytest.raises(RbmixError, match="is damaged"):
            checkpoint.read_header(path)


@pytest.mark.parametrize(
    "raw",
    [b"[" * 100_000, b'{"a": 1, "a": 2}', b'"\\ud800"', b"\xff", b"9" * 5000, b"", b"{" * 9],
    ids=lambda raw: str(raw[:8]),
)
def test_json_of_strangers(raw: bytes) -> None:
    """Depth, repeated names, texts that cannot be written, endless numbers: one line."""
    with pytest.raises(RbmixError, match=r"it is damaged \(.*\); delete it"):
        reading.parse_json(raw, "it is damaged", "; delete it")


# What is shown


def test_a_terminal_is_not_commanded(capsys) -> None:
    """Messages are one line of printable characters, cut where they are long."""
    hostile = "a\x1b[2Jb\r\nc\u202ed\ud800" + "x" * 5000
    assert str(RbmixError(hostile)) == one_line(hostile)
    assert one_line("a\x1b[2Jb\r\nc\ud800") == "a\\x1b[2Jb c\\ud800"
    assert len(one_line(hostile)) < MAX_CHARACTERS + 50
    progress.logger.info(hostile)
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_markup_in_names_is_shown_as_it_is(make_run, capsys) -> None:
    """Names with rich's brackets neither crash nor vanish."""
    name = "[red]x[/] [/blue] :smile: [link=file:///]"
    run = make_run([0, 1, 2], model=name, dataset="[/]")
    path, rows = Path("[bold]a"), leaderboard.rows([run])
    render_evaluation.evaluation(render_evaluation.Answer(run, path, rows, [], 3, False, [path]))
    out = " ".join(capsys.readouterr().out.split())
    for words in ("[red]x[/] [/blue]", ":smile:", "wrote [bold]a"):
        assert words in out


@pytest.mark.parametrize("name", ["a|b", "a`b", "a\\", "a\\|b", "a\nb", "<b>", "[x](y)"])
def test_names_stay_in_their_cell(name: str) -> None:
    """A row has the cells it was given, with no tag and no link in them."""
    import re

    row = line([name, "*kept*", "5.0 [1, 2]"])
    assert len(row.splitlines()) == 1
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4
    assert not re.search(r"(?<!\\)<|(?<!\\)`|(?<!\\)\]\(", plain(name))
    assert row.endswith("| *kept* | 5.0 [1, 2] |")


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style><b>", "</td></table>",
    "javascript:alert(1)", "' onmouseover='x", "{{ 7 * 7 }}", "&lt;b&gt;", "$\\frac{", "_$a_",
    "a|b`c`", "字 é 🙂",
]  # fmt: skip


class Texts(HTMLParser):
    """Every tag, attribute and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


def _page_of(folder: Path, make_run, name: str) -> Texts:
    """The report on runs, probes and decodings all of whose texts are this one."""
    import fuzz_targets as made

    words = dict.fromkeys(("model", "dataset", "device", "commit", "data_hash"), name)
    runs = {**words, "protocol": name, "protocol_hash": name, "checkpoint_hash": name,
            "versions": {"torch": name}, "protocol_spec": {"algorithm": name},
            "passes": {name: {"forward": 1, "gradient": 1}}}  # fmt: skip
    for spatial in ("learned", "frozen"):
        run = make_run([0, 1, 2], spatial=spatial, **runs)
        run.table["component"] = [[name, name], ["", name], ["", ""]]
        path = records.run_path(folder, run.header, spatial)
        records.write(type(run)(run.header, run.table, date=name), path)
        for header, columns in (
            (made.PROBE, made.PROBE_COLUMNS),
            ({**made.TRANSFER, "classes": [name, name]}, made.TRANSFER_COLUMNS),
        ):
            header = {**header, **words, "spatial": spatial}
            made._write_records(made.probe_path(folder, header), header, columns)
        header = {**made.DECODING, **words, "spatial": spatial}
        path = unshuffling.path_for(folder, name, name, spatial, 0, "k")
        made._write_records(path, header, made.DECODING_COLUMNS)
    return Texts(html_report.to_html(folder))


@pytest.mark.default
@pytest.mark.parametrize("name", HOSTILE)
def test_every_string_of_a_record_is_escaped(tmp_path: Path, make_run, name: str) -> None:
    """In every text of runs, probes and decodings, also in drawings: the page has the same tags."""
    plainly = _page_of(tmp_path / "plain", make_run, "plain")
    page = _page_of(tmp_path / "hostile", make_run, name)
    assert page.tags == plainly.tags
    assert {key for key, _ in page.attributes} == {key for key, _ in plainly.attributes}
    sources = [value for key, value in page.attributes if key in ("src", "href", "xlink:href")]
    assert all(value.startswith(("data:image/", "#")) for value in sources)
    shown = "\n".join([*page.texts, *(v for key, v in page.attributes if key == "aria-label")])
    assert shown.count(name) > 20
    assert gallery.write(tmp_path / "hostile")


def test_a_name_in_a_drawing_is_no_formula() -> None:
    """Dollars and backslashes are drawn as they are, whether or not they are a formula."""
    for name in ("$\\frac{", "$x^2$", "a $ b"):
        text = svg.render(lambda figure, name=name: figure.suptitle(name))
        assert name in text
