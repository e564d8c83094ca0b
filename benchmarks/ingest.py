"""The tables of iNaturalist Open Data to a catalog, at the scale of iNaturalist's own training.

The claims: 10 million rows of photographs of 60,000 species, gzipped, all rules on, take under 60 s
and under 2.5 GB of memory on two cores and give more than 20,000 classes; on 1 million rows the
same rules in pandas leave exactly the same photographs, in no less time and in more memory.

Two peers in pandas: as it is commonly written, and tuned to do as little work as it allows. Ingest
also checks every cell and explains every taxon, which neither does. The ratios of CPU time are
printed and no claim.

    python benchmarks/ingest.py [--photos=10_000_000 --taxa=60_000 --peer_photos=1_000_000]

The tables are drawn by `taxonvision synth --metadata_only` beforehand. The peers, ingest_peer.py,
need pandas and pyarrow; they run in turn with ours, and the time that they spend on MD5 does not
count against them.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
from absl import app, flags
from commands import Claims, taxonvision

_PHOTOS = flags.DEFINE_integer("photos", 10_000_000, "rows of photos.csv.gz")
_TAXA = flags.DEFINE_integer("taxa", 60_000, "species")
_PEER_PHOTOS = flags.DEFINE_integer("peer_photos", 1_000_000, "the same for the peer")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "runs of both on the peer's tables")
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_COLUMNS = (
    "photo_id", "path", "width", "height", "observation_id", "taxon_id", "class_taxon_id", "split",
    "latitude", "longitude", "observed_on", "license", "attribution", "url",
)  # fmt: skip


@dataclass(frozen=True)
class Used:
    """What a process and its children took."""

    seconds: float
    cpu_seconds: float
    peak_gigabytes: float  # resident, 10⁹ bytes

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} CPU s, {self.peak_gigabytes:.2f} GB"


def main(argv: list[str]) -> int:
    """Draw the tables, run both and print the verdict on each claim."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary).absolute()
        tables, few_tables = work / "tables", work / "few_tables"
        _draw(tables, _PHOTOS.value, _TAXA.value)
        _draw(few_tables, _PEER_PHOTOS.value, _TAXA.value * _PEER_PHOTOS.value // _PHOTOS.value)
        large = _ingest(tables, work / "catalog")
        counts = _counts(work / "catalog")
        runs: dict[str, list[Used]] = {"ingest": [], "plain": [], "tuned": []}
        for _ in range(_ROUNDS.value):
            runs["ingest"].append(_ingest(few_tables, work / "few"))
            for how in ("plain", "tuned"):
                runs[how].append(_run_peer(how, few_tables, work / how))
        different = sum(_differences(work / "few", work / how) for how in ("plain", "tuned"))
    print(f"\n{_PHOTOS.value} rows: {large}, {counts['used']} used, {counts['classes']} classes")
    for name, took in runs.items():
        print(f"{_PEER_PHOTOS.value} rows, {name}:", "; ".join(map(str, took)))
    for how in ("plain", "tuned"):
        cpu = _ratio(runs, how, "cpu_seconds")
        print(f"CPU time of pandas, {how} / ours: {cpu:.2f}")
    claims = Claims()
    claims.judge("seconds < 60", large.seconds, large.seconds < 60)
    claims.judge("peak memory < 2.5 GB", large.peak_gigabytes, large.peak_gigabytes < 2.5)
    claims.judge("classes > 20,000", counts["classes"], counts["classes"] > 20_000)
    claims.judge("photographs on which pandas differs = 0", different, different == 0)
    seconds = _ratio(runs, "tuned", "seconds")
    claims.judge("seconds of pandas, tuned / ours >= 1", seconds, seconds >= 1)
    memory = _ratio(runs, "tuned", "peak_gigabytes")
    claims.judge("memory of pandas, tuned / ours > 1", memory, memory > 1)
    return claims.exit_code


def _ratio(runs: dict[str, list[Used]], peer: str, what: str) -> float:
    """What a peer took in proportion to ours, the median of the rounds."""
    pairs = zip(runs[peer], runs["ingest"], strict=True)
    return statistics.median(getattr(theirs, what) / getattr(ours, what) for theirs, ours in pairs)


def _draw(tables: Path, photos: int, taxa: int) -> None:
    taxonvision(
        "synth", f"--out={tables}", "--metadata_only", f"--photos={photos}", f"--taxa={taxa}",
        "--compress",
    )  # fmt: skip


def _ingest(tables: Path, catalog: Path) -> Used:
    return _measure(
        "-m", "taxonvision", "ingest", "--source=inat_open_data", "--rules=inat",
        "--check_photos=false", f"--input={tables}", f"--out={catalog}", "--overwrite",
    )  # fmt: skip


def _run_peer(how: str, tables: Path, out: Path) -> Used:
    out.mkdir(exist_ok=True)
    used = _measure(str(Path(__file__).with_name("ingest_peer.py")), how, str(tables), str(out))
    md5 = json.loads((out / "peer.json").read_text())["md5_cpu_seconds"]
    return Used(used.seconds - md5, used.cpu_seconds - md5, used.peak_gigabytes)


def _measure(*arguments: str) -> Used:
    """Run Python with these arguments as a process of its own."""
    print(f"\n$ python {shlex.join(arguments)}", flush=True)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Used(
        time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9
    )


def _counts(catalog: Path) -> dict:
    return json.loads((catalog / "catalog.json").read_text())["counts"]


def _differences(catalog: Path, peer: Path) -> int:
    """Photographs of which one of both says what the other does not, and counts that differ."""
    counts, told = _counts(catalog), json.loads((peer / "peer.json").read_text())
    unequal = [key for key in ("photographs", "used", "left_out") if counts[key] != told[key]]
    for key in unequal:
        print(f"{key}: {counts[key]} here, {told[key]} in pandas")
    classes = f"SELECT class_id, taxon_id AS class_taxon_id FROM '{catalog}/classes.csv'"  # noqa: S608
    ours = f"'{catalog}/photos.parquet' JOIN ({classes}) USING (class_id)"
    columns = ", ".join(_COLUMNS)
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW ours AS SELECT {columns} FROM {ours}")  # noqa: S608
        connection.execute(
            f"CREATE VIEW theirs AS SELECT {columns} FROM '{peer}/photos.parquet'"  # noqa: S608
        )
        ((count,),) = connection.execute(
            """
            SELECT count(*) FROM (
                (FROM ours EXCEPT ALL FROM theirs) UNION ALL (FROM theirs EXCEPT ALL FROM ours)
            )
            """
        ).fetchall()
    return count + len(unequal)


if __name__ == "__main__":
    app.run(main)
