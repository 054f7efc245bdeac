# SPDX-License-Identifier: GPL-2.0-or-later
"""What `patchrig judge` is given: packed, in another encoding, damaged, empty, or no log at all."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.judge_commands import judge
from orchestrator.cli.logfile import text_of
from orchestrator.host.errors import ExitCode, UserError
from orchestrator.host.text import one_line
from orchestrator.judge.scan import crashes_in

BAD = b"[    1.000000][   T77] BUG: Bad rss-counter state mm:00000000a1b2c3d4 type:MM_SWAPENTS val:1\n"
TEXT = b"[    0.500000][    T1] all is well\n" * 100 + BAD
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def run(data: bytes, name: str, folder: Path) -> tuple[int, str]:
    file = folder / name
    file.write_bytes(data)
    done = CliRunner().invoke(judge, [str(file)], standalone_mode=False)
    if isinstance(done.exception, Exception):
        raise done.exception
    return int(done.return_value), done.output


def text(data: bytes, *, most: int = 1 << 20) -> bytes:
    return b"".join(text_of("a.log", io.BytesIO(data), most=most))


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_a_packed_log_is_unpacked_whatever_its_name(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    code, output = run(packed(TEXT), "console.log", tmp_path)

    assert code == ExitCode.BAD_KERNEL
    assert ":101: BUG: Bad rss-counter state" in output


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_packed_logs_in_a_row_and_zeros_behind_them_are_one_log(packed: Callable[[bytes], bytes]) -> None:
    assert text(packed(b"one\n") + packed(b"two\n") + bytes(512)) == b"one\ntwo\n"


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_log_that_is_cut_off_is_told(name: str, tmp_path: Path) -> None:
    whole = PACKED[name](TEXT)

    with pytest.raises(UserError, match=rf"console.log: its {name} data is cut off"):
        run(whole[: len(whole) - 9], "console.log", tmp_path)


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_log_with_something_else_behind_it_is_told(name: str) -> None:
    with pytest.raises(UserError, match="damaged"):
        text(PACKED[name](b"one\n") + b"and something else that is longer than any header")


@given(st.sampled_from(sorted(PACKED)), st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_no_traceback(name: str, at: int, flip: int) -> None:
    data = bytearray(PACKED[name](TEXT))
    data[at % len(data)] ^= flip
    with suppress(UserError):
        assert len(text(bytes(data))) <= 1 << 20


def test_what_grows_too_large_is_stopped_with_the_limit_in_the_message() -> None:
    got: list[bytes] = []
    with pytest.raises(UserError, match=r"unpacks to more than 4 MiB") as stopped:
        got.extend(text_of("a.log", io.BytesIO(gzip.compress(b"a" * (9 << 20))), most=4 << 20))

    assert sum(map(len, got)) <= 4 << 20
    assert max(map(len, got)) <= 1 << 20
    assert stopped.value.hint.startswith("zcat a.log | patchrig judge")


def test_an_archive_in_an_archive_is_unpacked_and_an_endless_one_is_not() -> None:
    assert text(lzma.compress(gzip.compress(BAD))) == BAD
    data = BAD
    for _ in range(9):
        data = gzip.compress(data)
    with pytest.raises(UserError, match="packed more than"):
        text(data)


def core(*, order: str) -> bytes:
    return (b"\x7fELF\x02" + (b"\x01" if order == "little" else b"\x02") + bytes(10)
            + (4).to_bytes(2, "little" if order == "little" else "big") + bytes(200))  # fmt: skip


def tar() -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("console.log"), io.BytesIO())
        return file.getvalue()


def zipped() -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("console.log", TEXT)
        return file.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (core(order="little"), "an ELF core"),
        (core(order="big"), "an ELF core"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + bytes(100), "an ELF file"),
        (b"KDUMP   " + bytes(100), "a kdump"),
        (b"LPKSHHRH" + bytes(200), "a journal of systemd's"),
        (b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\nMESSAGE=BUG: a\n\n", "an export of systemd's journal"),
        (b'{\n\t"_BOOT_ID" : "1",\n\t"__CURSOR" : "2",\n\t"MESSAGE" : "BUG: a"\n}\n', "an export of systemd's journal"),
        (b"Sat 2025-11-01 10:00:00 CET [s=0123456789abcdef;i=1]\n    MESSAGE=a\n", "an export of systemd's journal"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "zstd data"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "a picture"),
        (b"%PDF-1.7\n" + TEXT, "a PDF"),
        (tar(), "a tar archive"),
        (zipped(), "a zip archive"),
        (random.Random(1).randbytes(5000), "binary data"),
        (bytes(5000), "binary data"),
        (b"\xff" * 5000, "binary data"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_what_is_no_text_is_refused_by_name(
    data: bytes, what: str, packed: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"console.log: is {what}") as refused:
        run(packed(data), "console.log", tmp_path)

    assert refused.value.hint


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    code, output = run(TEXT.decode().encode(encoding), "console.log", tmp_path)

    assert code == ExitCode.BAD_KERNEL
    assert ":101: BUG: Bad rss-counter state" in output


def test_a_character_in_two_pieces_is_one() -> None:
    data = ("ж" * 300_001 + "\n").encode("utf-16-le")

    assert text(b"\xff\xfe" + data).decode() == "ж" * 300_001 + "\n"


@pytest.mark.parametrize(
    "data",
    [
        bytes(300) + TEXT,
        b"\x00\xfe\x8f\x1c" * 50 + TEXT,
        b"\xff" * 9000 + TEXT,
        b"M\xe4r 01 10:00:00 host kernel: up\n" + TEXT,
        "июл 27 10:00:00 host kernel: включено\n".encode("koi8-r") + TEXT,
        "июл 27 10:00:00 host kernel: up\n".encode() + TEXT,
        b"\x1b[0;32m[ OK ]\x1b[0m\x07\x08\r\n" + TEXT,
    ],
    ids=["zeros", "noise", "flash", "latin-1", "koi8", "utf-8", "terminal"],
)
def test_noise_and_old_encodings_are_still_text(data: bytes, tmp_path: Path) -> None:
    assert run(data, "console.log", tmp_path)[0] == ExitCode.BAD_KERNEL


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), b"\xff\xfe"], ids=["plain", "gzip", "utf-16"])
def test_an_empty_log_is_called_empty(data: bytes, tmp_path: Path) -> None:
    code, output = run(data, "console.log", tmp_path)

    assert code == ExitCode.OK
    assert output == f"{tmp_path}/console.log: empty\n"


@pytest.mark.parametrize(
    "unit", [b"a", b" ", b"[", b"BUG ", b"[    1.000000] BUG", b"> ", b"\x1b]", b"Nov 01 10:00:00 "]
)
def test_a_line_without_an_end_needs_little_memory(unit: bytes) -> None:
    chunk = unit * (65_536 // len(unit))
    for _ in crashes_in([chunk]):
        pass
    tracemalloc.start()
    for _ in crashes_in(chain(repeat(chunk, 8), [b"\n" + BAD])):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4_000_000


def test_nothing_of_a_log_steers_a_terminal(tmp_path: Path) -> None:
    odd = "\x1b]0;owned\x07\x9b31m\x1b[2J\x85\u202e\u2028\x08"
    data = f"[    1.000000] BUG: {odd}x\n[    2.000000] BUG: KASAN: a\x9b in b\x9b+0x1/0x2\n\x1b".encode()
    code, output = run(data, "odd\x1b[31m.log", tmp_path)

    assert code == ExitCode.BAD_KERNEL
    assert all(line.isprintable() for line in output.splitlines())
    assert "odd\\x1b[31m.log" in output


@given(st.text())
def test_what_is_printable_stays_on_its_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    one_line(text).encode()
