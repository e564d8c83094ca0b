import gzip
import itertools
import json
import re
import tracemalloc
import zlib
from pathlib import Path

import duckdb
import numpy as np
import pytest

from taxonvision import parallel
from taxonvision.cli.main import main
from taxonvision.synthetic import open_data
from taxonvision.synthetic.metadata import MetadataOptions, write_metadata

TYPES = {
    "taxa": "BIGINT VARCHAR INTEGER VARCHAR VARCHAR BOOLEAN",
    "observers": "BIGINT VARCHAR VARCHAR",
    "observations": "VARCHAR BIGINT DOUBLE DOUBLE INTEGER BIGINT VARCHAR DATE",
    "photos": "VARCHAR BIGINT VARCHAR BIGINT VARCHAR VARCHAR INTEGER INTEGER INTEGER",
}
HEADERS = {
    "taxa": open_data.TAXA,
    "observers": open_data.OBSERVERS,
    "observations": open_data.OBSERVATIONS,
    "photos": open_data.PHOTOS,
}
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
DEGREES = r"-?\d{1,3}\.\d{10}"


def write(folder: Path, block: int = 1000, **options) -> Path:
    folder.mkdir()
    write_metadata(folder, MetadataOptions(**{"photos": 2000, "taxa": 40, **options}), block)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def opened(folder: Path) -> duckdb.DuckDBPyConnection:
    """The four tables, read with explicit types: a cell that does not fit raises."""
    connection = duckdb.connect()
    for name, types in TYPES.items():
        columns = dict(zip(HEADERS[name], types.split(), strict=True))
        connection.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_csv('{folder / name}.csv', delim='\t', "
            f"quote='', escape='', header=true, auto_detect=false, columns={columns})"
        )
    return connection


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """As many photographs a species as ten million of 60,000."""
    return write(tmp_path_factory.mktemp("metadata") / "tables", photos=50_000, taxa=300)


@pytest.fixture(scope="module")
def ask(folder):
    """The rows that a query of the tables gives."""
    with opened(folder) as connection:
        yield lambda query: connection.execute(query).fetchall()


def test_the_tables_have_the_headers_and_the_text_of_the_bucket(folder):
    for name, columns in HEADERS.items():
        lines = (folder / f"{name}.csv").read_text(encoding="utf-8").split("\n")
        assert lines[0] == "\t".join(columns)
        assert lines[-1] == "" and all(line.count("\t") == len(columns) - 1 for line in lines[:-1])
    observations = (folder / "observations.csv").read_text().splitlines()[1:]
    row = re.compile(
        rf"{UUID}\t\d+\t(({DEGREES}\t{DEGREES}\t\d*)|(\t\t))\t\d*\t\w+\t20\d\d-\d\d-\d\d"
    )
    assert all(row.fullmatch(line) for line in observations)
    photos = (folder / "photos.csv").read_text().splitlines()[1:]
    row = re.compile(rf"{UUID}\t[1-9]\d*\t{UUID}\t[1-9]\d*\tjpg\t[\w-]+\t\d+\t\d+\t(0|1?[1-9]|10)")
    assert all(row.fullmatch(line) for line in photos)


def test_there_are_exactly_so_many_photographs_with_ascending_ids(folder, ask):
    ids = [row[0] for row in ask("SELECT photo_id FROM photos")]
    assert len(ids) == 50_000
    assert all(one < other for one, other in itertools.pairwise(ids))
    assert ask("SELECT count(DISTINCT photo_uuid) FROM photos") == [(50_000,)]


def test_the_tables_refer_to_each_other(ask):
    assert ask("FROM photos ANTI JOIN observations USING (observation_uuid)") == []
    assert ask("FROM observations ANTI JOIN photos USING (observation_uuid)") == []
    assert ask("FROM observations ANTI JOIN observers USING (observer_id)") == []
    assert ask("FROM observations WHERE taxon_id NOT IN (SELECT taxon_id FROM taxa)") == []
    for table, key in (
        ("observations", "observation_uuid"), ("observers", "observer_id"), ("taxa", "taxon_id"),
    ):  # fmt: skip
        assert ask(f"SELECT count(*) - count(DISTINCT {key}) FROM {table}") == [(0,)]
    joined = "FROM photos p JOIN observations o USING (observation_uuid)"
    assert ask(f"{joined} WHERE p.observer_id <> o.observer_id") == []


def test_positions_and_licences_belong_to_the_observation(ask):
    per_observation = (
        "SELECT count(*), count(DISTINCT position), max(position), count(DISTINCT license) "
        "FROM photos GROUP BY observation_uuid"
    )
    rows = ask(per_observation)
    assert all(n == positions == last + 1 and one == 1 for n, positions, last, one in rows)
    counts = np.array([row[0] for row in rows])
    assert set(counts) == set(range(1, 21))
    assert np.mean(counts <= 4) > 0.9
    assert 0.02 < np.mean(counts > 5) < 0.05


def test_every_path_of_ancestors_is_the_parent_s_with_the_parent(ask):
    taxa = {row[0]: row[1:] for row in ask("FROM taxa")}
    assert taxa[48460] == (None, 100, "stateofmatter", "Life", True)
    parents = set()
    for taxon_id, (ancestry, level, _, _, active) in taxa.items():
        if taxon_id != 48460:
            path = ancestry.split("/")
            above, above_level, _, _, above_active = taxa[int(path[-1])]
            assert path[:-1] == (above.split("/") if above else [])
            assert above_level > level and (above_active or not active)
            parents.add(int(path[-1]))
    for taxon_id, (_, level, rank, _, _) in taxa.items():
        assert level <= 10 or taxon_id in parents, f"a {rank} without children"


def test_the_tree_has_the_ranks_and_the_extras_that_rules_are_about(ask):
    counts = {
        row[:2]: row[2] for row in ask("SELECT rank, active, count(*) FROM taxa GROUP BY ALL")
    }
    assert counts["species", True] == 300
    assert counts["species", False] == 30
    assert counts["subspecies", True] == 9
    assert counts["hybrid", True] == 2
    assert 300 / 6 < counts["genus", True] < 300 / 3
    assert counts["genus", True] > counts["family", True] > counts["order", True]
    assert {rank for rank, _ in counts} >= {"kingdom", "phylum", "class"}
    assert ask("SELECT count(*) - count(DISTINCT name) FROM taxa") == [(0,)]
    hybrids = ask("SELECT name FROM taxa WHERE rank = 'hybrid'")
    assert all(re.fullmatch(r"[A-Z]\w+ × \w+", name) for (name,) in hybrids)


def test_observations_are_of_all_kinds(ask):
    total = ask("SELECT count(*) FROM observations")[0][0]

    def share(condition: str) -> float:
        of = "FROM observations LEFT JOIN taxa USING (taxon_id)"
        return ask(f"SELECT count(*) {of} WHERE {condition}")[0][0] / total

    assert share("quality_grade = 'research'") == pytest.approx(0.86, abs=0.01)
    assert share("quality_grade = 'casual'") == pytest.approx(0.05, abs=0.01)
    assert share("rank = 'genus'") == pytest.approx(0.03, abs=0.005)
    assert share("rank = 'family'") == pytest.approx(0.01, abs=0.005)
    assert share("taxon_id IS NULL") == pytest.approx(0.01, abs=0.005)
    assert share("latitude IS NULL") == pytest.approx(0.025, abs=0.005)
    assert share("latitude IS NULL AND quality_grade <> 'casual'") == 0
    assert 0 < share("rank = 'hybrid'") < 0.005
    assert 0 < share("NOT active") < 0.01
    assert share("abs(latitude) > 80 OR abs(longitude) > 180") == 0


def test_taxa_and_observers_have_long_tails(ask):
    photos = np.array(
        [
            row[0]
            for row in ask(
                "SELECT count(photo_id) FROM taxa LEFT JOIN observations USING (taxon_id) "
                "LEFT JOIN photos USING (observation_uuid) "
                "WHERE rank = 'species' AND active GROUP BY taxon_id"
            )
        ]
    )
    assert 24 <= np.median(photos) <= 96
    assert photos.max() > 20 * np.median(photos)
    # More than a third of the species make classes of 100 photographs: 20,000 of 60,000, for a
    # quarter of the photographs is lost to other rules.
    assert np.mean(photos * 0.71 > 100) > 0.22
    seen = np.array([n for (n,) in ask("SELECT count(*) FROM observations GROUP BY observer_id")])
    assert seen.max() > 30 * np.median(seen)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    first, again = (contents(write(tmp_path / name, compress=True)) for name in ("a", "b"))
    other = contents(write(tmp_path / "c", compress=True, seed=1))
    assert first == again
    assert not any(first[name] == other[name] for name in ("taxa.csv.gz", "photos.csv.gz"))


@pytest.mark.parametrize("block", [1, 7, 100_000])
def test_the_size_of_the_blocks_changes_nothing(tmp_path, block):
    blocks = contents(write(tmp_path / "blocks", block=block, photos=300))
    assert blocks == contents(write(tmp_path / "some", block=100, photos=300))


def test_compressed_tables_are_one_gzip_stream_of_the_same_text(tmp_path, monkeypatch):
    options = {"photos": 40_000, "taxa": 40}  # photos.csv is deflated in several pieces
    plain = contents(write(tmp_path / "plain", **options))
    compressed = contents(write(tmp_path / "gz", compress=True, **options))
    assert compressed.keys() == {f"{name}.gz" for name in plain}
    for name, text in plain.items():
        member = compressed[f"{name}.gz"]
        assert member[4:8] == bytes(4)  # no time
        assert gzip.decompress(member) == text
        stream = zlib.decompressobj(wbits=31)
        assert stream.decompress(member) == text and stream.eof and not stream.unused_data
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    alone = write(tmp_path / "alone", block=333, compress=True, **options)
    assert contents(alone) == compressed


def test_memory_does_not_grow_with_the_photographs(tmp_path):
    def peak(photos: int) -> int:
        tracemalloc.start()
        try:
            write(tmp_path / str(photos), photos=photos, taxa=10)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is made once and kept
    assert peak(120_000) < 1.3 * peak(30_000)


@pytest.mark.parametrize("options", [{"photos": 1, "taxa": 1}, {"photos": 3, "taxa": 500}])
def test_few_photographs_and_few_taxa_are_tables_too(tmp_path, options):
    with opened(write(tmp_path / "few", **options)) as connection:
        count = connection.execute("SELECT count(*) FROM photos").fetchall()
        species = "SELECT count(*) FROM taxa WHERE rank = 'species' AND active"
        assert count == [(options["photos"],)]
        assert connection.execute(species).fetchall() == [(options["taxa"],)]


def test_the_command_writes_the_tables_alone_and_then_has_done_it(tmp_path, capsys):
    out = tmp_path / "tables"
    flags = [f"--out={out}", "--metadata_only", "--photos=2_000", "--taxa=1_0", "--compress"]
    assert main(["synth", *flags]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(rf"{out}: 2000 photographs of 10 species in \d+ gen", said.err)
    assert {path.name for path in out.iterdir()} == {
        "synth.json", "taxa.csv.gz", "observers.csv.gz", "observations.csv.gz", "photos.csv.gz",
    }  # fmt: skip
    manifest = json.loads((out / "synth.json").read_text())
    lines = gzip.decompress((out / "observations.csv.gz").read_bytes()).count(b"\n") - 1
    assert (manifest["photos"], manifest["taxa"]) == (2000, 10)
    assert manifest["observations"] == lines
    assert main(["synth", *flags]) == 0
    assert f"already done: {out}" in capsys.readouterr().err
    assert main(["synth", *flags, "--seed=1"]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--metadata_only"], "--photos"),
        (["--metadata_only", "--photos=0"], "--photos"),
        (["--metadata_only", "--photos=-5"], "--photos"),
        (["--metadata_only", "--photos=100_000_000"], "--photos"),
        (["--metadata_only", "--photos=ten"], "ten"),
        (["--metadata_only", "--photos=1e6"], "1e6"),
        (["--metadata_only", "--photos=9", "--taxa=0"], "--taxa"),
        (["--metadata_only", "--photos=9", "--seed=-1"], "--seed"),
        (["--metadata_only", "--photos=9", "--size=32"], "--size"),
        (["--metadata_only", "--photos=9", "--layout=folder"], "--layout"),
        (["--metadata_only", "--photos=9", "--photos_per_taxon=3"], "--photos_per_taxon"),
        (["--metadata_only", "--photos=9", "--broken=0.5"], "--broken"),
        (["--metadata_only", "--photos=9", "--empty_scenes=1"], "--empty_scenes"),
        (["--photos=9"], "--photos only with --metadata_only"),
        (["--compress"], "--compress only with --metadata_only"),
    ],
)
def test_flags_that_do_not_go_together_are_one_sentence(tmp_path, capsys, flags, word):
    assert main(["synth", f"--out={tmp_path / 'out'}", *flags]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and word in said
    assert list(tmp_path.iterdir()) == []
