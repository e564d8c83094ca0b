import json
import os
import subprocess
import sys
import time

import pytest

from taxonvision import storage
from taxonvision.errors import AlreadyDone, UserError
from taxonvision.storage import (
    Recipe,
    check_place,
    check_unfinished,
    digest_of,
    file_digest,
    partial_of,
    publish,
    publish_resuming,
    read_json,
    read_manifest,
    replacing,
    replacing_file,
    replacing_file_resuming,
    write_json,
)

MANIFEST = "thing.json"
RECIPE = Recipe("make", {"size": 3}, {"input": "abc"})
OTHER = Recipe("make", {"size": 4}, {"input": "abc"})


def make(out, recipe=RECIPE, content="new", *, overwrite=False):
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        (partial / "deep").mkdir()
        (partial / "deep" / "content.txt").write_text(content)
        write_json(partial / MANIFEST, {"made_by": recipe.as_json()})


def content(out):
    return (out / "deep" / "content.txt").read_text()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def without_exchange(monkeypatch):
    monkeypatch.setattr(storage, "_exchange", lambda first, second: False)


@pytest.fixture(params=["exchange", "two renames"])
def either_way(request):
    if request.param == "two renames":
        request.getfixturevalue("without_exchange")


# Recipes.


def test_digest_does_not_depend_on_the_order_of_keys():
    assert Recipe("c", {"a": 1, "b": 2}).digest == Recipe("c", {"b": 2, "a": 1}).digest


@pytest.mark.parametrize(
    "other",
    [
        Recipe("other", {"size": 3}, {"input": "abc"}),
        Recipe("make", {"size": 4}, {"input": "abc"}),
        Recipe("make", {"size": 3, "more": None}, {"input": "abc"}),
        Recipe("make", {"size": 3}, {"input": "abd"}),
        Recipe("make", {"size": 3, "input": "abc"}),
    ],
)
def test_digest_depends_on_command_flags_and_inputs(other):
    assert other.digest != RECIPE.digest


def test_file_digest_is_that_of_sha256sum(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert digest_of([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


# publish: what stands at the place.


def test_missing_parents_are_made(tmp_path):
    make(tmp_path / "a" / "b" / "out")
    assert content(tmp_path / "a" / "b" / "out") == "new"
    assert names(tmp_path / "a" / "b") == ["out"]


def test_an_empty_folder_is_taken(tmp_path, either_way):
    (tmp_path / "out").mkdir()
    make(tmp_path / "out")
    assert content(tmp_path / "out") == "new"
    assert names(tmp_path) == ["out"]


def test_the_same_recipe_is_already_done(tmp_path):
    make(tmp_path / "out", content="first")
    with pytest.raises(AlreadyDone, match=r"out$"):
        make(tmp_path / "out", content="second")
    assert content(tmp_path / "out") == "first"


def place_file(out):
    out.write_text("mine")


def place_folder(out):
    out.mkdir()
    (out / "mine.txt").write_text("mine")


def place_other_recipe(out):
    make(out, OTHER)


def place_broken_manifest(out):
    out.mkdir()
    (out / MANIFEST).write_bytes(b"\xff{")


def place_manifest_of_a_list(out):
    out.mkdir()
    (out / MANIFEST).write_text("[1]")


def place_dangling_link(out):
    out.symlink_to(out.parent / "gone")


def place_link_to_folder(out):
    target = out.parent / "elsewhere"
    place_folder(target)
    out.symlink_to(target)


PLACES = [
    place_file,
    place_folder,
    place_other_recipe,
    place_broken_manifest,
    place_manifest_of_a_list,
    place_dangling_link,
    place_link_to_folder,
]


def snapshot(folder):
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path] = path.readlink()
        else:
            found[path] = path.read_bytes() if path.is_file() else None
    return found


@pytest.mark.parametrize("place", PLACES)
def test_anything_else_is_refused_and_left_alone(tmp_path, place):
    out = tmp_path / "out"
    place(out)
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=r"out exists .* --overwrite"):
        make(out)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("place", PLACES)
def test_overwrite_replaces_anything(tmp_path, place, either_way):
    out = tmp_path / "out"
    place(out)
    make(out, overwrite=True)
    assert content(out) == "new"
    assert names(out) == ["deep", MANIFEST]
    assert [name for name in names(tmp_path) if name != "elsewhere"] == ["out"]


def test_a_link_is_replaced_not_what_it_names(tmp_path):
    place_link_to_folder(tmp_path / "out")
    make(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out").is_symlink()
    assert (tmp_path / "elsewhere" / "mine.txt").read_text() == "mine"


def test_overwrite_makes_the_same_recipe_again(tmp_path, either_way):
    make(tmp_path / "out", content="first")
    make(tmp_path / "out", content="second", overwrite=True)
    assert content(tmp_path / "out") == "second"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("out", [".", "..", "/", "a/.."])
def test_places_without_a_name_are_refused(out, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    with pytest.raises(UserError):
        make(storage.Path(out), overwrite=True)
    with pytest.raises(UserError), replacing_file(storage.Path(out)):
        pass
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == []


def test_check_place_alone_writes_nothing(tmp_path):
    check_place(tmp_path / "out", MANIFEST, RECIPE, overwrite=False)
    place_folder(tmp_path / "full")
    check_place(tmp_path / "full", MANIFEST, RECIPE, overwrite=True)
    assert names(tmp_path) == ["full"]


def test_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"out\.partial cannot be made"):
        make(tmp_path / "file" / "out")
    with (
        pytest.raises(UserError, match=r"out\.csv cannot be written"),
        replacing_file(tmp_path / "file" / "out.csv") as partial,
    ):
        partial.write_text("new")
    assert (tmp_path / "file").read_text() == "mine"


# The block raises.


@pytest.mark.parametrize("failure", [ValueError, UserError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [True, False])
def test_a_block_that_raises_leaves_the_old_output(tmp_path, failure, old):
    out = tmp_path / "out"
    if old:
        make(out, OTHER, "old")
    with pytest.raises(failure), publish(out, MANIFEST, RECIPE, overwrite=True) as partial:
        (partial / "half").write_text("half")
        raise failure
    assert names(tmp_path) == (["out"] if old else [])
    assert not old or content(out) == "old"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [True, False])
def test_a_block_that_raises_leaves_the_old_file(tmp_path, failure, old):
    path = tmp_path / "table.csv"
    if old:
        path.write_text("old")
    with pytest.raises(failure), replacing_file(path) as partial:
        partial.write_text("half")
        raise failure
    assert names(tmp_path) == (["table.csv"] if old else [])
    assert not old or path.read_text() == "old"


def test_replacing_file(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    for text in ("first", "second"):
        with replacing_file(path) as partial:
            partial.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert names(path.parent) == ["table.csv"]


def test_replacing_file_does_not_replace_a_folder(tmp_path):
    (tmp_path / "out").mkdir()
    with (
        pytest.raises(UserError, match="out cannot be written"),
        replacing_file(tmp_path / "out") as partial,
    ):
        partial.write_text("new")
    assert names(tmp_path) == ["out"]


def test_the_old_output_stays_readable_while_the_new_one_is_made(tmp_path):
    make(tmp_path / "out", content="old")
    with replacing(tmp_path / "out") as partial:
        assert names(partial) == []
        assert content(tmp_path / "out") == "old"


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is a call of Linux")
def test_two_folders_are_exchanged_in_one_step(tmp_path):
    for name in ("ä", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    assert storage._exchange(tmp_path / "ä", tmp_path / "b")
    assert (tmp_path / "ä" / "name").read_text() == "b"
    assert (tmp_path / "b" / "name").read_text() == "ä"
    assert not storage._exchange(tmp_path / "ä", tmp_path / "gone")


# The process is killed.

KILLED = """
import os, signal, sys
from pathlib import Path
from taxonvision import storage
out = Path(sys.argv[1])
with storage.publish(out, "thing.json", storage.Recipe("make"), overwrite=True) as partial:
    (partial / "half").write_text("half")
    if sys.argv[2] == "writing":
        os.kill(os.getpid(), signal.SIGKILL)
    storage._exchange = lambda first, second: False
    real_rename = Path.rename
    def rename(self, target):
        if self == partial:
            os.kill(os.getpid(), signal.SIGKILL)
        return real_rename(self, target)
    Path.rename = rename
"""


def kill(out, moment):
    done = subprocess.run([sys.executable, "-c", KILLED, str(out), moment], capture_output=True)
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("old", [True, False])
def test_a_killed_run_leaves_the_old_output_and_the_next_one_works(tmp_path, old):
    out = tmp_path / "out"
    if old:
        make(out, OTHER, "old")
    kill(out, "writing")
    assert names(tmp_path) == [".out.lock", *(["out"] if old else []), "out.partial"]
    assert not old or content(out) == "old"
    make(out, overwrite=old)
    assert content(out) == "new"
    assert names(out) == ["deep", MANIFEST]
    assert names(tmp_path) == ["out"]


def test_killed_between_the_two_renames_the_next_runs_work(tmp_path, without_exchange):
    out = tmp_path / "out"
    make(out, OTHER, "old")
    kill(out, "renaming")
    assert names(tmp_path) == [".out.lock", "out.partial", "out.replaced"]
    assert content(tmp_path / "out.replaced") == "old"
    make(out)
    assert content(out) == "new"
    make(out, OTHER, "newer", overwrite=True)
    assert content(out) == "newer"
    assert names(tmp_path) == ["out"]


# JSON.


def test_json_round_trip_is_readable(tmp_path):
    write_json(tmp_path / "f.json", {"ä": [1, None]})
    assert (tmp_path / "f.json").read_text(encoding="utf-8") == (
        '{\n  "ä": [\n    1,\n    null\n  ]\n}\n'
    )
    assert read_json(tmp_path / "f.json") == {"ä": [1, None]}


def test_no_json_that_others_cannot_read(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "f.json", float("nan"))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_unreadable_json_is_one_sentence(tmp_path, text):
    (tmp_path / "f.json").write_bytes(text)
    with pytest.raises(UserError, match=r"f\.json cannot be read as JSON"):
        read_json(tmp_path / "f.json")
    with pytest.raises(UserError, match="does not exist"):
        read_json(tmp_path / "none.json")


def manifest_of(folder):
    return read_manifest(folder, MANIFEST, "thing", "make", 2)


def test_manifest(tmp_path):
    write_json(tmp_path / MANIFEST, {"schema_version": 1, "a": "b"})
    assert manifest_of(tmp_path)["a"] == "b"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "has no schema_version"),
        ("[]", "has no schema_version"),
        ('{"schema_version": "1"}', "has no schema_version"),
        ('{"schema_version": 3}', "newer taxonvision .thing schema 3, this one reads 2."),
    ],
)
def test_manifests_of_another_kind(tmp_path, text, sentence):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=sentence):
        manifest_of(tmp_path)


def test_what_is_no_noun_says_which_command_makes_one(tmp_path):
    with pytest.raises(UserError, match="gone does not exist; `taxonvision make` makes a thing"):
        manifest_of(tmp_path / "gone")
    with pytest.raises(UserError, match=r"is no thing: it has no thing\.json"):
        manifest_of(tmp_path)
    (tmp_path / "file").write_text(json.dumps({"schema_version": 1}))
    with pytest.raises(UserError, match="file does not exist"):
        manifest_of(tmp_path / "file")


def test_two_runs_do_not_write_the_same_output(tmp_path):
    out = tmp_path / "out"
    with replacing(out) as partial:
        (partial / "mine").write_text("1")
        with pytest.raises(UserError, match="is being written by another run"), replacing(out):
            pytest.fail("the second run must not begin")
        assert (partial / "mine").is_file()
    assert (out / "mine").is_file()
    with replacing(out) as partial:
        assert list(partial.iterdir()) == []


def refused(out):
    with pytest.raises(UserError, match="out is being written by another run"), replacing(out):
        pytest.fail("the second run must not begin")


@pytest.mark.parametrize("step", ["rmtree", "mkdir"])
def test_of_two_runs_over_what_a_killed_one_left_only_one_begins(tmp_path, monkeypatch, step):
    out = tmp_path / "out"
    kill(out, "writing")
    attempts = []

    def then_another(real):
        def call(path, *arguments, **options):
            result = real(path, *arguments, **options)
            if storage.Path(path).name == "out.partial" and not attempts:
                attempts.append(path)
                refused(out)
            return result

        return call

    if step == "rmtree":
        monkeypatch.setattr(storage.shutil, "rmtree", then_another(storage.shutil.rmtree))
    else:
        monkeypatch.setattr(storage.Path, "mkdir", then_another(storage.Path.mkdir))
    make(out)
    assert attempts
    assert content(out) == "new"
    assert names(tmp_path) == ["out"]


def test_a_lock_removed_while_it_was_waited_for_is_made_anew(tmp_path, monkeypatch):
    real, out = storage.fcntl.flock, tmp_path / "out"

    def late(descriptor, how):  # its holder ends just before we get it
        monkeypatch.setattr(storage.fcntl, "flock", real)
        (tmp_path / ".out.lock").unlink()
        real(descriptor, how)

    monkeypatch.setattr(storage.fcntl, "flock", late)
    with replacing(out):
        refused(out)
        assert names(tmp_path) == [".out.lock", "out.partial"]
    assert names(tmp_path) == ["out"]


def test_many_runs_over_what_a_killed_one_left_never_meet(tmp_path):
    out = tmp_path / "out"
    program = """
import os, sys, time
from pathlib import Path
from taxonvision import storage
from taxonvision.errors import UserError
out = Path(sys.argv[1])
time.sleep(max(0, float(sys.argv[2]) - time.time()))
for _ in range(200):
    try:
        with storage.replacing(out) as partial:
            (partial / "mine").write_text(str(os.getpid()))
            time.sleep(0.001)
            assert [p.name for p in partial.iterdir()] == ["mine"]
            assert (partial / "mine").read_text() == str(os.getpid())
    except UserError as error:
        assert "another run" in str(error), error
"""
    kill(out, "writing")
    start = str(time.time() + 1)
    runs = [
        subprocess.Popen([sys.executable, "-c", program, str(out), start], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for run in runs:
        _, said = run.communicate(timeout=60)
        assert run.returncode == 0, said.decode()
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("place", PLACES)
def test_what_appeared_while_the_output_was_made_is_left_alone(tmp_path, place):
    out = tmp_path / "out"
    with (
        pytest.raises(UserError, match=r"out exists .* --overwrite"),
        publish(out, MANIFEST, RECIPE, overwrite=False) as partial,
    ):
        (partial / "mine").write_text("1")
        # As others would who know nothing of the lock.
        place(tmp_path / "elsewhere.out")
        (tmp_path / "elsewhere.out").rename(out)
        before = {path: found for path, found in snapshot(tmp_path).items() if out in path.parents}
    after = snapshot(tmp_path)
    assert {path: found for path, found in after.items() if out in path.parents} == before
    assert "out.partial" not in names(tmp_path)


def test_the_same_output_that_appeared_meanwhile_is_already_done(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(AlreadyDone), publish(out, MANIFEST, RECIPE, overwrite=False):
        make(tmp_path / "same", content="first")
        (tmp_path / "same").rename(out)
    assert content(out) == "first"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_when_the_second_rename_fails_the_old_output_is_put_back(
    tmp_path, monkeypatch, without_exchange, failure
):
    out = tmp_path / "out"
    make(out, OTHER, "old")
    real = storage.Path.rename

    def rename(path, target):
        if path.name == "out.partial":
            raise failure
        return real(path, target)

    monkeypatch.setattr(storage.Path, "rename", rename)
    with pytest.raises(type(failure)):
        make(out, overwrite=True)
    assert content(out) == "old"
    assert names(tmp_path) == ["out"]


# publish_resuming: long work goes on where it ended.


def resuming(out, recipe=RECIPE, *, version="1", overwrite=False):
    return publish_resuming(out, MANIFEST, recipe, version=version, overwrite=overwrite)


def complete(partial, recipe=RECIPE):
    (partial / "piece").write_text("whole")
    write_json(partial / MANIFEST, {"made_by": recipe.as_json()})


@pytest.mark.parametrize("failure", [UserError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [True, False])
def test_the_next_run_finds_what_one_that_raised_left(tmp_path, failure, old):
    out = tmp_path / "out"
    if old:
        make(out, OTHER, "old")
    with pytest.raises(failure), resuming(out, overwrite=old) as partial:
        (partial / "piece").write_text("whole")
        raise failure
    assert not old or content(out) == "old"
    with resuming(out, overwrite=old) as partial:
        assert (partial / "piece").read_text() == "whole"
        complete(partial)
    assert names(out) == ["piece", MANIFEST]
    assert names(tmp_path) == ["out"]
    with pytest.raises(AlreadyDone), resuming(out):
        pytest.fail("nothing is left to be done")


@pytest.mark.parametrize(("recipe", "version"), [(OTHER, "1"), (RECIPE, "2")])
def test_what_another_recipe_or_version_left_is_dropped(tmp_path, recipe, version):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), resuming(out, recipe, version=version) as partial:
        (partial / "piece").write_text("other")
        raise KeyboardInterrupt
    with resuming(out) as partial:
        assert not (partial / "piece").exists()
        complete(partial)
    assert names(tmp_path) == ["out"]


def test_what_publish_was_killed_over_is_dropped(tmp_path):
    kill(tmp_path / "out", "writing")
    with resuming(tmp_path / "out") as partial:
        assert not (partial / "half").exists()
        complete(partial)
    assert names(tmp_path) == ["out"]


def test_killed_before_the_last_rename_all_is_there(tmp_path, monkeypatch):
    def fail(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_move_into_place", fail)
        with pytest.raises(KeyboardInterrupt), resuming(tmp_path / "out") as partial:
            complete(partial)
    assert names(tmp_path / "out.partial") == ["piece", MANIFEST]
    with resuming(tmp_path / "out") as partial:
        assert names(partial) == ["piece", MANIFEST]
    assert names(tmp_path) == ["out"]


def test_what_failed_before_it_began_leaves_nothing(tmp_path):
    with pytest.raises(UserError), resuming(tmp_path / "out"):
        raise UserError("no such thing")
    assert not names(tmp_path)


def test_unfinished_work_worth_keeping_is_not_thrown_away(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError), resuming(out) as partial:
        (partial / "checkpoints").mkdir()
        raise UserError("stopped")
    assert partial == partial_of(out)
    check_unfinished(out, RECIPE, "checkpoints", version="1")
    check_unfinished(out, OTHER, "something else", version="1")
    with pytest.raises(UserError, match="unfinished work of a run with other flags"):
        check_unfinished(out, OTHER, "checkpoints", version="1")
    with pytest.raises(UserError, match="unfinished work"):
        check_unfinished(out, RECIPE, "checkpoints", version="2")
    check_unfinished(tmp_path / "other", RECIPE, "checkpoints", version="1")


def test_of_two_resuming_runs_only_one_begins(tmp_path):
    with resuming(tmp_path / "out") as partial:
        with (
            pytest.raises(UserError, match="is being written by another run"),
            resuming(tmp_path / "out"),
        ):
            pytest.fail("the second run must not begin")
        complete(partial)


def test_the_same_output_made_elsewhere_meanwhile_leaves_nothing_behind(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(AlreadyDone), resuming(out) as partial:
        complete(partial)
        make(tmp_path / "same", content="first")
        (tmp_path / "same").rename(out)
    assert content(out) == "first"
    assert names(tmp_path) == ["out"]


def test_what_appeared_meanwhile_is_left_alone_and_the_work_is_kept(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="--overwrite"), resuming(out) as partial:
        complete(partial)
        place_folder(out)
    assert (out / "mine.txt").read_text() == "mine"
    with resuming(out, overwrite=True) as partial:
        assert names(partial) == [".made_by", "piece", MANIFEST]
    assert names(out) == ["piece", MANIFEST]


# replacing_file_resuming: the same for a file.


def resuming_file(path, recipe=RECIPE, *, version="1"):
    return replacing_file_resuming(path, recipe, version=version)


@pytest.mark.parametrize("failure", [UserError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [True, False])
def test_a_file_is_gone_on_with_by_the_same_recipe(tmp_path, failure, old):
    path = tmp_path / "deep" / "table.csv"
    if old:
        path.parent.mkdir()
        path.write_text("old")
    with pytest.raises(failure), resuming_file(path) as partial:
        (partial / "piece").write_text("new")
        raise failure
    assert not old or path.read_text() == "old"
    with resuming_file(path) as partial:
        (partial / "piece").replace(partial / storage.WHOLE)
    assert path.read_text() == "new"
    assert names(path.parent) == ["table.csv"]


@pytest.mark.parametrize(("recipe", "version"), [(OTHER, "1"), (RECIPE, "2")])
def test_a_file_is_begun_anew_by_another_recipe_or_version(tmp_path, recipe, version):
    path = tmp_path / "table.csv"
    with pytest.raises(KeyboardInterrupt), resuming_file(path) as partial:
        (partial / "piece").write_text("new")
        raise KeyboardInterrupt
    with resuming_file(path, recipe, version=version) as partial:
        assert names(partial) == [storage._MARK]
        (partial / storage.WHOLE).write_text("other")
    assert path.read_text() == "other"
    assert names(tmp_path) == ["table.csv"]


def test_the_half_file_that_replacing_file_was_killed_over_is_dropped(tmp_path):
    partial_of(tmp_path / "table.csv").write_text("half")
    with resuming_file(tmp_path / "table.csv") as partial:
        (partial / storage.WHOLE).write_text("new")
    assert names(tmp_path) == ["table.csv"]


def test_a_folder_is_refused_before_the_work(tmp_path):
    with pytest.raises(UserError, match="is a folder"), resuming_file(tmp_path):
        pytest.fail("the work must not begin")


def test_a_pipe_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with (
            pytest.raises(UserError, match="is a pipe or a device"),
            resuming_file(tmp_path / name),
        ):
            pytest.fail("the work must not begin")
    assert names(tmp_path) == ["link", "pipe"]


@pytest.mark.parametrize("old", [True, False])
def test_a_link_stays_and_the_file_is_where_it_leads(tmp_path, old):
    place, link = tmp_path / "place", tmp_path / "link"
    place.mkdir()
    if old:
        (place / "table.csv").write_text("old")
    link.symlink_to(place / "table.csv")
    with resuming_file(link) as partial:
        (partial / storage.WHOLE).write_text("new")
    assert link.is_symlink()
    assert (place / "table.csv").read_text() == "new"
    assert (names(tmp_path), names(place)) == (["link", "place"], ["table.csv"])
