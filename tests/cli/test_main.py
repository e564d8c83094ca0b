import errno
import importlib
import importlib.metadata
import inspect
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from absl import flags
from PIL import Image

import taxonvision
from taxonvision.catalog.catalog import open_catalog
from taxonvision.cli import main as main_module
from taxonvision.cli.main import COMMANDS, main
from taxonvision.errors import GateRefusedError, RequeueError, UserError

HEAVY = ("absl", "numpy", "tensorflow", "keras", "duckdb", "rich", "PIL", "ai_edge_litert")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of six pictures."""
    root = tmp_path_factory.mktemp("input") / "photos"
    random = np.random.default_rng(0)
    for name in ("monarch", "comma"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def says(capsys):
    """Run a command line; its exit code, stdout and stderr."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refusal(says):
    """Run a command line that must fail: the one line on stderr."""

    def run(*arguments):
        code, out, err = says(*arguments)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"taxonvision: .+\n", err), err
        return err.removeprefix("taxonvision: ").removesuffix("\n")

    return run


def python(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


# Help.


def test_help_lists_all_commands(says):
    code, out, err = says("--help")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for name, summary in COMMANDS.items():
        assert [line for line in lines if line.split()[:1] == [name] and summary in line]


@pytest.mark.parametrize("word", ["-h", "help", "--helpfull"])
def test_other_words_for_help(says, word):
    assert says(word) == says("--help")


def test_no_command_shows_the_same_and_is_an_error(says):
    assert says() == (2, "", says("--help")[1])


def test_version(says):
    assert says("--version") == (0, f"{taxonvision.__version__}\n", "")


def test_help_loads_nothing_heavy():
    done = python(
        "import sys; from taxonvision.cli.main import main; code = main(['--help']);"
        f"print([m for m in {HEAVY} if m in sys.modules], code)"
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_help_of_every_command_leaves_tensorflow_out():
    done = python(
        "import sys; from taxonvision.cli.main import COMMANDS, main\n"
        "for command in COMMANDS:\n"
        "    assert main([command, '--help']) == 0\n"
        "    heavy = [m for m in ('tensorflow', 'keras', 'keras_hub') if m in sys.modules]\n"
        "    assert not heavy, (command, heavy)\n"
        "print('all', len(COMMANDS))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"all {len(COMMANDS)}"
    assert done.stderr == ""


def test_help_of_train_shows_its_flags_with_defaults_and_no_others(says):
    code, out, err = says("train", "--help")
    assert (code, err) == (0, "")
    values = flags.FlagValues()
    train = importlib.import_module("taxonvision.cli.train")
    train.define(values)
    expected = {name for name in values if name != "undefok"} | {"flagfile"}
    assert set(re.findall(r"^  --(\w+): ", out, re.MULTILINE)) == expected
    assert re.search(r"^  --backbone: .*\(default: efficientnet_lite0\)$", out, re.MULTILINE)
    assert re.search(r"^  --seed: .*\(default: 0\)$", out, re.MULTILINE)
    assert re.search(r"^  --catalog: .*\(required\)$", out, re.MULTILINE)
    assert out.startswith(f"usage: {train.USAGE}\n")


def test_help_wins_over_faulty_flags(says):
    code, out, _ = says("train", "--epochs=none", "--help")
    assert code == 0
    assert "--epochs" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_keeps_the_contract(command, says):
    module = importlib.import_module(f"taxonvision.cli.{command}")
    assert module.__doc__.splitlines()[0].strip()
    assert module.USAGE.startswith(f"taxonvision {command} ")
    values, of_the_process = flags.FlagValues(), set(flags.FLAGS)
    module.define(values)
    assert set(flags.FLAGS) == of_the_process  # nothing leaks into the flags of other commands
    assert set(module.REQUIRED) <= set(values)
    for name in module.REQUIRED:
        assert values[name].default is None
        assert f"--{name}=" in module.USAGE
    for name in values:
        assert values[name].help
    assert list(inspect.signature(module.run).parameters) == ["values", "arguments"]
    code, out, err = says(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {module.USAGE}\n\n{module.__doc__.splitlines()[0]}\n")


# What is typed wrongly.


@pytest.mark.parametrize(
    ("typed", "meant"), [("trian", "train"), ("Ingest", "ingest"), ("evalute", "evaluate")]
)
def test_unknown_command_names_the_nearest(refusal, typed, meant):
    assert refusal(typed) == f"there is no command {typed!r}; did you mean {meant}?"


def test_unknown_command_unlike_any_lists_all(refusal):
    assert refusal("zzz") == f"there is no command 'zzz'; there are: {', '.join(COMMANDS)}"


def test_unknown_flag_names_the_nearest(refusal):
    assert re.fullmatch(
        "`train` has no flag --epoch; did you mean (--)?epochs[?]", refusal("train", "--epoch=3")
    )


def test_flag_of_another_command_is_unknown(refusal):
    assert "`ingest` has no flag --qqqqq; there are: " in refusal("ingest", "--qqqqq")
    assert "`ingest` has no flag --epochs" in refusal("ingest", "--epochs=3")


def test_missing_required_flags(refusal):
    assert refusal("ingest").startswith("`ingest` needs --input and --out; usage: taxonvision")
    assert refusal("ingest", "--input=x").startswith("`ingest` needs --out; usage:")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "--epochs=many"], "--epochs=many"),
        (["train", "--epochs=0"], "--epochs=0"),
        (["ingest", "--source=xyz"], "--source=xyz"),
        (["ingest", "--overwrite=maybe"], "--overwrite=maybe"),
        (["ingest", "--out"], "--out"),
        (["ingest", "--flagfile=/no/such/file"], "/no/such/file"),
    ],
)
def test_illegal_values(refusal, arguments, named):
    sentence = refusal(*arguments)
    assert sentence.startswith(f"`{arguments[0]}`: ")
    assert named in sentence


def test_stray_argument(refusal, photos, tmp_path):
    sentence = refusal("ingest", f"--input={photos}", f"--out={tmp_path / 'o'}", "stray")
    assert sentence.startswith("`ingest` takes no argument 'stray'; usage: ")
    assert refusal("ingest", "stray", f"--input={photos}", "--out=o") == sentence


# Runs.


def test_ingest_says_what_came_of_it_on_stderr(says, photos, tmp_path):
    out = tmp_path / "catalog"
    code, stdout, err = says("ingest", f"--input={photos}", f"--out={out}")
    assert (code, stdout) == (0, "")
    assert re.search(rf"^{out}: 12 photographs of 2 classes \(\d+ train, ", err, re.MULTILINE)
    assert (out / "catalog.json").is_file()
    again = says("ingest", f"--input={photos}", f"--out={out}")
    assert again == (0, "", f"already done: {out}\n")


def test_ingest_tells_of_rejects_and_other_files(says, tmp_path):
    root = tmp_path / "photos"
    (root / "A").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(root / "A" / "1.png")
    (root / "A" / "2.png").write_bytes(b"")
    (root / "A" / "notes.txt").write_text("x")
    code, _, err = says("ingest", f"--input={root}", f"--out={tmp_path / 'catalog'}")
    assert code == 0
    assert "1 photograph of 1 class" in err
    assert f"{tmp_path / 'catalog' / 'rejects.csv'} says what is faulty: 1 photograph\n" in err
    assert "files that are no photographs were passed over: 1 .txt\n" in err


def test_every_table_and_level_reaches_the_catalog(says, photos, tmp_path):
    (tmp_path / "taxa.csv").write_text("class,taxon_id,common_name_de\nmonarch,5,Monarchfalter\n")
    (tmp_path / "labels.csv").write_text("file,class,split\nmonarch/1.png,monarch,valid\n")
    (tmp_path / "tree.csv").write_text(
        "taxon_id,parent_taxon_id,rank_level,rank,name\n5,,10,species,Danaus plexippus\n"
    )
    tables = [f"--{name}={tmp_path / f'{name}.csv'}" for name in ("taxa", "labels")]
    code, _, err = says(
        "ingest", f"--input={photos}", f"--out={tmp_path / 'catalog'}", *tables,
        f"--taxonomy={tmp_path / 'tree.csv'}", "--license=CC0-1.0", "--attribution=me, myself",
    )  # fmt: skip
    assert code == 0
    assert "1 photograph of 1 class (0 train, 1 val, 0 test)" in err
    assert "5,de,Monarchfalter" in (tmp_path / "catalog" / "names.csv").read_text()
    assert ",Danaus plexippus\n" in (tmp_path / "catalog" / "taxonomy.csv").read_text()
    photographs = open_catalog(tmp_path / "catalog").photos("val")
    assert (photographs.licenses, photographs.attributions) == (["CC0"], ["me, myself"])
    code, _, err = says(
        "ingest", f"--input={photos}", f"--out={tmp_path / 'genera'}", "--levels=genus"
    )
    assert code == 0
    assert ",20,genus,monarch\n" in (tmp_path / "genera" / "taxonomy.csv").read_text()


def test_flagfile_and_flags_after_it(says, photos, tmp_path):
    flagfile = tmp_path / "my.flags"
    flagfile.write_text(f"# a comment\n--input={photos}\n\n--out={tmp_path / 'first'}\n")
    assert says("ingest", f"--flagfile={flagfile}")[0] == 0
    assert (tmp_path / "first" / "catalog.json").is_file()
    second = tmp_path / "second"
    assert says("ingest", f"--flagfile={flagfile}", f"--out={second}")[0] == 0
    assert (second / "catalog.json").is_file()


def test_expected_failures_of_a_run_are_one_line(refusal, photos, tmp_path):
    assert "/no/such is not a folder" in refusal("ingest", "--input=/no/such", "--out=o")
    (tmp_path / "mine").write_text("mine")
    sentence = refusal("ingest", f"--input={photos}", f"--out={tmp_path / 'mine'}")
    assert sentence.startswith(f"{tmp_path / 'mine'} exists and was not made by this command")
    (tmp_path / "empty" / "A").mkdir(parents=True)
    sentence = refusal("ingest", f"--input={tmp_path / 'empty'}", f"--out={tmp_path / 'o'}")
    assert sentence == f"there is no photograph below {tmp_path / 'empty'}"
    assert "does not exist" in refusal("train", "--catalog=/no/such", "--out=o")
    assert "does not exist" in refusal("predict", "--model=/no/such", photos)


@pytest.fixture
def raising(monkeypatch):
    """Let a command raise."""

    def set_error(error):
        def run(command, arguments):
            raise error

        monkeypatch.setattr(main_module, "_run", run)

    return set_error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (UserError("do this"), 2, "taxonvision: do this\n"),
        (GateRefusedError("0.5 < 0.9"), 3, "taxonvision: 0.5 < 0.9\n"),
        (RequeueError("step 3: checkpointed"), 85, "taxonvision: step 3: checkpointed\n"),
        (KeyboardInterrupt(), 130, "taxonvision: interrupted; nothing half written was left\n"),
        (
            ModuleNotFoundError("no", name="keras_hub.src"),
            2,
            "taxonvision: `train` needs the package keras_hub.src: "
            "pip install 'taxonvision[hub]'\n",
        ),
    ],
)
def test_exit_codes(says, raising, error, code, sentence):
    raising(error)
    assert says("train") == (code, "", sentence)


@pytest.mark.parametrize("error", [ValueError("x"), ModuleNotFoundError("no", name="numpy")])
def test_bugs_are_not_hidden(raising, error):
    raising(error)
    with pytest.raises(type(error)):
        main(["train"])


# As a user sees it: real processes.


def test_failure_in_a_real_process_has_no_traceback():
    done = subprocess.run(
        [sys.executable, "-m", "taxonvision", "ingest", "--input=/no/such", "--out=o"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"taxonvision: /no/such is not a folder.*\n", done.stderr)


def test_console_script_is_the_same_program():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="taxonvision")
    assert script.load() is main_module.entry_point


def test_missing_extra_says_what_installs_it(photos, tmp_path, says):
    assert says("ingest", f"--input={photos}", f"--out={tmp_path / 'catalog'}")[0] == 0
    done = python(
        "import sys; sys.modules['tensorflow'] = None\n"
        "from taxonvision.cli.main import main; sys.exit(main(sys.argv[1:]))",
        "train", f"--catalog={tmp_path / 'catalog'}", f"--out={tmp_path / 'model'}",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "taxonvision: `train` needs the package tensorflow: pip install 'taxonvision[train]'\n"
    )
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory):
    """Photographs whose opening takes far longer than the wait for the first sign of work."""
    folder = tmp_path_factory.mktemp("many") / "photos" / "monarch"
    folder.mkdir(parents=True)
    first = folder / "0.png"
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(first, compress_level=1)
    for number in range(1, 2000):
        (folder / f"{number}.png").hardlink_to(first)
    return folder.parent


def interrupt_in_mid_run(photos, out):
    """Start an ingest and send Ctrl-C as soon as unfinished work lies beside `out`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "taxonvision", "ingest", f"--input={photos}", f"--out={out}",
         "--overwrite"],
        stderr=subprocess.PIPE,
        text=True,
        # The tests may run where Ctrl-C is ignored, in the background of a shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    partial = out.with_name(out.name + ".partial")
    deadline = time.monotonic() + 60
    while not partial.exists() and time.monotonic() < deadline:
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"ended before it could be interrupted: {process.communicate()[1]}")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_ctrl_c_is_130_and_leaves_nothing_half_written(many_photos, tmp_path):
    code, err = interrupt_in_mid_run(many_photos, tmp_path / "catalog")
    assert code == 130
    assert err.splitlines()[-1] == "taxonvision: interrupted; nothing half written was left"
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_the_old_catalog(many_photos, photos, says, tmp_path):
    out = tmp_path / "catalog"
    assert says("ingest", f"--input={photos}", f"--out={out}")[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    code, _ = interrupt_in_mid_run(many_photos, out)
    assert code == 130
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_head_of_the_help():
    command = '"$@" train --help | head -n 1'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", sys.executable, "-m", "taxonvision"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: taxonvision train ")
    assert done.stdout.count("\n") == 1


def run_without_a_reader(unbuffered, *arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout:  # noqa: PTH123 - a descriptor, no path
        done = subprocess.run(
            [sys.executable, "-m", "taxonvision", *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )
    return done.returncode, done.stderr


def test_reader_that_has_gone_while_a_command_writes_is_no_error():
    assert run_without_a_reader("1", "train", "--help") == (141, "")


@pytest.mark.parametrize(
    ("unbuffered", "arguments"),
    [("1", ["--help"]), ("1", ["--version"]), ("", ["--help"]), ("", ["train", "--help"])],
)
def test_reader_that_has_gone_is_no_error(unbuffered, arguments):
    assert run_without_a_reader(unbuffered, *arguments) == (141, "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENAMETOOLONG])
def test_a_full_or_locked_disk_is_one_line(says, photos, tmp_path, monkeypatch, number):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number), "photos.parquet")

    monkeypatch.setattr("taxonvision.catalog.ingest.write_json", fail)
    code, _, err = says("ingest", f"--input={photos}", f"--out={tmp_path / 'catalog'}")
    assert code == 2
    assert err.splitlines()[-1].endswith(f"{os.strerror(number)}: photos.parquet")
    assert not list(tmp_path.glob("catalog*"))


def test_ctrl_c_inside_a_lock_is_130_too_and_other_errors_are_not(photos, tmp_path, monkeypatch):
    def strike(context):
        def fail(*arguments, **options):
            try:
                raise context
            finally:
                raise RuntimeError("cannot release un-acquired lock")

        return fail

    arguments = ["ingest", f"--input={photos}", f"--out={tmp_path / 'catalog'}"]
    monkeypatch.setattr("taxonvision.catalog.ingest.write_json", strike(KeyboardInterrupt()))
    assert main(arguments) == 130
    monkeypatch.setattr("taxonvision.catalog.ingest.write_json", strike(KeyError()))
    with pytest.raises(RuntimeError, match="un-acquired lock"):
        main(arguments)
    assert not list(tmp_path.glob("catalog*"))
