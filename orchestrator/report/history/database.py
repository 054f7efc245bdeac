# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of a results folder in an SQLite file, so that their cells need not be read again each time.

The file is a cache of the run folders, and never trusted: a run whose files have another size or time than when they
were read, or whose rows are not what was stored, is read anew; a file that is damaged, or of another version, is made
anew; and where it can't be written the folders alone are read. The only importer of sqlite3.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from orchestrator.model.history import CellIdentity, PastCell, PastRun
from orchestrator.model.outcomes import Outcome
from orchestrator.report.history.past_runs import read_past_run
from orchestrator.report.stored import CELLS_FILE, RUN_FILE

DATABASE_FILE = "history.sqlite"
# Change it with the tables, or with what read_past_run() makes of a folder.
_VERSION = 1
_TABLES = """
CREATE TABLE run (
  id TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT, started TEXT, matrix_path TEXT, command TEXT, seconds REAL,
  regressed TEXT, series_files TEXT, finished INTEGER
);
CREATE TABLE cell (
  id INTEGER PRIMARY KEY, kernel TEXT, series TEXT, variant TEXT, flavour TEXT, arch TEXT, workload TEXT, delays TEXT,
  UNIQUE (kernel, series, variant, flavour, arch, workload, delays)
);
CREATE TABLE observation (
  run TEXT REFERENCES run, place INTEGER, cell INTEGER REFERENCES cell, name TEXT, outcome TEXT, title TEXT,
  splats TEXT, seconds REAL, load_seconds REAL, PRIMARY KEY (run, place)
) WITHOUT ROWID;
"""
_STATEMENTS = [statement.strip() for statement in _TABLES.split(";") if statement.strip()]
_WAIT_SECONDS = 10.0
# A flipped byte can make any of these of a stored value.
_DAMAGED = (sqlite3.Error, ValueError, TypeError, OverflowError)


def past_runs(
    results: Path, *, before: str = "", matrix: Path | None = None, ended: PastRun | None = None
) -> Iterator[PastRun]:
    """The runs below a results folder, the newest first.

    `before`: only those that began before this one. `matrix`: only those of this file, an absolute path. `ended`: a run
    that is known, and as its folder has it. A folder that can't be read is passed over.
    """
    stamps = _stamps(results)
    with _opened(results) as database:
        _drop_gone(database, stamps)
        # A run is named after its time.
        for name in sorted((name for name in stamps if not before or name < before), reverse=True):
            if matrix and not _may_be_of(database, name, stamps[name], matrix):
                continue
            run = _kept(database, name, stamps[name])
            if run is None:
                run = ended if ended and ended.id == name else read_past_run(results / name)
                _keep(database, run, stamps[name])
            if run and (matrix is None or Path(run.matrix_path).resolve() == matrix):
                yield run


def _may_be_of(database: sqlite3.Connection, name: str, stamp: str, matrix: Path) -> bool:
    """Whether the run has to be looked at: its cells are many, and its matrix is one."""
    with suppress(*_DAMAGED):
        head = database.execute("SELECT matrix_path FROM run WHERE id = ? AND stamp = ?", (name, stamp)).fetchone()
        return head is None or Path(head[0]).resolve() == matrix
    return True


def _stamps(results: Path) -> dict[str, str]:
    """Folder of a run -> size and time of its files."""
    found = {}
    for file in results.glob(f"*/{RUN_FILE}"):
        if not file.parent.is_symlink():
            with suppress(OSError):
                found[file.parent.name] = " ".join(map(_stamp, (file, file.parent / CELLS_FILE)))
    return found


def _stamp(file: Path) -> str:
    try:
        known = file.stat()
    except FileNotFoundError:
        return "none"
    return f"{known.st_size} {known.st_mtime_ns} {known.st_ino}"


@contextmanager
def _opened(results: Path) -> Iterator[sqlite3.Connection]:
    """The database of the folder; one in memory where it can't be used."""
    with closing(_usable(results / DATABASE_FILE)) as database:
        try:
            yield database
        finally:
            # A disk that is full costs the cache, and not what was read.
            with suppress(sqlite3.Error):
                database.commit()


def _usable(path: Path) -> sqlite3.Connection:
    for _ in range(2):
        try:
            # As a run's folder is, it is nobody else's to read.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            return _connected(str(path))
        except (OSError, sqlite3.OperationalError):
            break  # it can't be written, or another patchrig keeps it
        except _DAMAGED:  # also a message about a damaged name that is no UTF-8
            for one in (path, path.with_name(f"{path.name}-journal")):
                with suppress(OSError):
                    one.unlink()
    return _connected(":memory:")


def _connected(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
    try:
        # It is made anew when a crash of the machine has damaged it.
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN IMMEDIATE")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        _check(database)
        if version != _VERSION or _statements(database) != _STATEMENTS:
            _remake(database)
        return database
    except BaseException:
        database.close()
        raise


def _check(database: sqlite3.Connection) -> None:
    ((sound,),) = database.execute("PRAGMA quick_check(1)").fetchall()
    if sound != "ok":
        raise sqlite3.DatabaseError(sound)


def _statements(database: sqlite3.Connection) -> list[str]:
    rows = database.execute("SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    return [sql for (sql,) in rows]


def _remake(database: sqlite3.Connection) -> None:
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        database.execute(f'DROP TABLE "{name}"')
    for statement in _STATEMENTS:
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _drop_gone(database: sqlite3.Connection, stamps: Mapping[str, str]) -> None:
    with suppress(sqlite3.Error):
        for (name,) in database.execute("SELECT id FROM run").fetchall():
            if name not in stamps:
                _drop(database, name)


def _drop(database: sqlite3.Connection, name: str) -> None:
    database.execute("DELETE FROM observation WHERE run = ?", (name,))
    database.execute("DELETE FROM run WHERE id = ?", (name,))


def _kept(database: sqlite3.Connection, name: str, stamp: str) -> PastRun | None:
    """The run as it was stored; None where its files have changed since, or the rows have."""
    try:
        head = database.execute(
            "SELECT sha256, started, matrix_path, command, seconds, regressed, series_files, finished FROM run "
            "WHERE id = ? AND stamp = ?",
            (name, stamp),
        ).fetchone()
        if head is None:
            return None
        sha256, started, matrix_path, command, seconds, regressed, series_files, finished = head
        run = PastRun(
            id=name,
            started=started,
            matrix_path=matrix_path,
            command=command,
            seconds=seconds,
            cells=tuple(_kept_cells(database, name)),
            regressed=tuple(json.loads(regressed)),
            series_files=series_files,
            finished=bool(finished),
        )
    except _DAMAGED:
        return None
    return run if _sum(run) == sha256 else None


def _kept_cells(database: sqlite3.Connection, name: str) -> Iterator[PastCell]:
    rows = database.execute(
        "SELECT kernel, series, variant, flavour, arch, workload, delays, name, outcome, title, splats, seconds, "
        "load_seconds FROM observation JOIN cell ON cell.id = observation.cell WHERE run = ? ORDER BY place",
        (name,),
    )
    known: dict[tuple[str, ...], CellIdentity] = {}
    for row in rows:
        identity = known.setdefault(row[:7], CellIdentity(*row[:7]))
        cell, outcome, title, splats, seconds, load_seconds = row[7:]
        splat_titles = tuple(json.loads(splats)) if splats != "[]" else ()
        yield PastCell(identity, cell, Outcome(outcome), title, splat_titles, seconds, load_seconds)


def _sum(run: PastRun) -> str:
    digest = hashlib.sha256(repr(run._replace(cells=())).encode())
    for cell in run.cells:
        digest.update(repr(cell).encode())
    return digest.hexdigest()


def _keep(database: sqlite3.Connection, run: PastRun | None, stamp: str) -> None:
    if run is not None:
        with suppress(sqlite3.Error):
            _drop(database, run.id)
            _store(database, run, stamp)


def _store(database: sqlite3.Connection, run: PastRun, stamp: str) -> None:
    head: tuple[object, ...] = (run.id, stamp, _sum(run), run.started, run.matrix_path, run.command, run.seconds)
    head += (json.dumps(run.regressed), run.series_files, run.finished)
    database.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", head)
    numbers = {identity: _cell_number(database, identity) for identity in {cell.identity for cell in run.cells}}
    database.executemany(
        "INSERT INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((run.id, at, numbers[one.identity], *_columns(one)) for at, one in enumerate(run.cells)),
    )


def _columns(cell: PastCell) -> tuple[object, ...]:
    splats = json.dumps(cell.splats)
    return cell.name, cell.outcome.value, cell.title, splats, cell.seconds, cell.load_seconds


def _cell_number(database: sqlite3.Connection, identity: CellIdentity) -> int:
    database.execute(
        "INSERT OR IGNORE INTO cell (kernel, series, variant, flavour, arch, workload, delays) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        identity,
    )
    (number,) = database.execute(
        "SELECT id FROM cell WHERE (kernel, series, variant, flavour, arch, workload, delays) = (?, ?, ?, ?, ?, ?, ?)",
        identity,
    ).fetchone()
    return int(number)
