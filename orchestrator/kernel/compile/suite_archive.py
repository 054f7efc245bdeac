# SPDX-License-Identifier: GPL-2.0-or-later
"""Built test suites as one file of the cache, and back (pure)."""

import io
import tarfile
from collections.abc import Iterator

from orchestrator.model.suites import SuiteFile, SuiteFiles

_TESTS, _PARSER, _NOT_BUILT = "tests/", "parser/", "not-built"


def packed(suites: SuiteFiles) -> bytes:
    """A tar archive; the same suites give the same bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(suites.parser.items()):
            _add(tar, f"{_PARSER}{name}", data)
        _add(tar, _NOT_BUILT, "\n".join(suites.not_built).encode())
        for file in suites.tests:
            _add(tar, f"{_TESTS}{file.path}", file.data, executable=file.executable, link=file.link)
    return made.getvalue()


def unpacked_files(content: bytes) -> SuiteFiles:
    """What packed() made a file of: nothing that a stranger wrote as an archive is read here."""
    parser: dict[str, bytes] = {}
    tests: list[SuiteFile] = []
    not_built: tuple[str, ...] = ()
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for name, file in _members(tar):
            if name == _NOT_BUILT:
                not_built = tuple(file.data.decode().split("\n")) if file.data else ()
            elif name.startswith(_PARSER):
                parser[file.path.removeprefix(_PARSER)] = file.data
            else:
                tests.append(
                    SuiteFile(
                        path=file.path.removeprefix(_TESTS), data=file.data, executable=file.executable, link=file.link
                    )
                )
    return SuiteFiles(parser=parser, tests=tuple(tests), not_built=not_built)


def _add(tar: tarfile.TarFile, name: str, data: bytes, *, executable: bool = False, link: bool = False) -> None:
    member = tarfile.TarInfo(name)
    member.mode = 0o755 if executable else 0o644
    if link:
        member.type, member.linkname = tarfile.SYMTYPE, data.decode("utf-8", "surrogateescape")
        tar.addfile(member)
        return
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, SuiteFile]]:
    for member in tar:
        link = member.issym()
        stored = None if link else tar.extractfile(member)
        data = member.linkname.encode("utf-8", "surrogateescape") if link else (stored.read() if stored else b"")
        yield member.name, SuiteFile(path=member.name, data=data, executable=bool(member.mode & 0o111), link=link)
