# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel sources in Debian's pool that no file in kernels/ names: by the indexes that Debian signs.

apt has checked its own indexes. Others come from the mirrors that apt is configured with: gpgv checks the signature of
a suite's InRelease, that has the hash of the suite's index, and that the hash of the archive.
"""

import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path

from orchestrator.host.deadline import Deadline
from orchestrator.host.errors import InfraError, ToolMissing, UserError
from orchestrator.host.files import sha256_of
from orchestrator.host.paths import scratch_folder
from orchestrator.host.process import run
from orchestrator.host.sealed import read_sealed, write_sealed
from orchestrator.kernel.source.download import PlaceFailed, download, is_there
from orchestrator.kernel.source.pool_index import (
    PoolFile,
    dsc_file,
    index_sha256,
    near,
    newest_first,
    of_release,
    pool_files,
)
from orchestrator.kernel.source.tarball import debian_mirrors
from orchestrator.model.events import Listener, Step

KEYRINGS = Path("/usr/share/keyrings")
# Of those that sign suites, and of those that sign packages.
_ARCHIVE_KEYS = ("debian-archive-keyring.gpg",)
_PACKAGE_KEYS = ("debian-keyring.gpg", "debian-maintainers.gpg", *_ARCHIVE_KEYS)
# Small indexes first: those of whole suites have 12 MB.
_SMALL = ("stable-backports", "oldstable-backports", "experimental")
_SUITES = (*_SMALL, "stable", "unstable", "testing", "oldstable", "stable-security", "oldstable-security")
_INDEX = "main/source/Sources.xz"
_SHOWN = 16
_APT_HELPER = Path("/usr/lib/apt/apt-helper")
_DSC_FOLDER = "pool/main/l/linux"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Debian's pool as this host sees it."""

    cache: Path
    listener: Listener
    until: Deadline
    keyrings: Path = KEYRINGS

    def find(self, version: str) -> PoolFile:
        """The source of a version; of "7.2", where there is no such, that of the newest 7.2.N, or else 7.2-rcN.

        An index may list what has left the pool: of a release, the newest that is still there is taken.
        Raises UserError where no signed index has it.
        """
        version = version.replace("-rc", "~rc")
        if content := read_sealed(self._kept(version)):
            return PoolFile(**json.loads(content))
        found: dict[str, PoolFile] = {}
        for files in self._indexes(_SUITES):
            found |= {one.version: one for one in files}
            if version in found:
                return self._keep(found[version])
        known = [found[one] for one in of_release(version, found)]
        chosen = next(self._still_there(known), next(iter(known), None))
        return self._keep(chosen or self._by_dsc(version, newest_first(found)))

    def _still_there(self, files: Iterable[PoolFile]) -> Iterator[PoolFile]:
        with scratch_folder() as scratch:
            sites = self._mirrors(Path(scratch))
        return (one for one in files if any(is_there(f"{site}/{one.path}", self.until) for site in sites))

    def _kept(self, version: str) -> Path:
        return self.cache / "sources" / f".pool-{version}.sealed"

    def _keep(self, file: PoolFile) -> PoolFile:
        """So that a version that was found once needs no index again."""
        self._kept(file.version).parent.mkdir(parents=True, exist_ok=True)
        write_sealed(self._kept(file.version), json.dumps(asdict(file)).encode())
        return file

    def versions(self) -> tuple[str, ...]:
        """Those that are still there of apt's own indexes and of those that are quick to get; none without a mirror."""
        known = {one.version: one for files in self._indexes(_SMALL) for one in files}
        newest = [known[version] for version in newest_first(known)]
        return tuple(one.version for one in islice(self._still_there(newest), _SHOWN))

    def _indexes(self, suites: Sequence[str]) -> Iterator[tuple[PoolFile, ...]]:
        with scratch_folder() as scratch:
            folder = Path(scratch)
            yield from self._of_apt(folder)
            for number, (site, suite) in enumerate(product(self._mirrors(folder), suites)):
                place = folder / str(number)
                place.mkdir()
                try:
                    yield self._of_suite(f"{site}/dists/{suite}", place)
                except (PlaceFailed, InfraError):
                    continue  # the next one may have it

    def _mirrors(self, folder: Path) -> tuple[str, ...]:
        return debian_mirrors(log=folder / "apt.log", until=self.until)

    def _of_apt(self, folder: Path) -> Iterator[tuple[PoolFile, ...]]:
        """What apt has on this disk, where sources are among what it is configured with."""
        argv = ["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Sources"]
        try:
            done = run(argv, log=folder / "apt.log", until=self.until)
        except ToolMissing:
            return
        for name in done.output.splitlines() if done.status == 0 else ():
            # It may be compressed in any way that apt knows.
            text = folder / "sources"
            text.unlink(missing_ok=True)
            shown = run([str(_APT_HELPER), "cat-file", name], log=text, until=self.until)
            if shown.status == 0:
                yield tuple(pool_files(shown.output.splitlines()))

    def _of_suite(self, url: str, folder: Path) -> tuple[PoolFile, ...]:
        """A suite's kernel sources. Raises PlaceFailed where it has no signed index, InfraError without gpgv."""
        self.listener(Step(text=f"reading Debian's index of sources, {url.rsplit('/', 1)[-1]}"))
        release = self._get(f"{url}/InRelease", folder)
        text = self.signed_text(release, _ARCHIVE_KEYS)
        sha256 = index_sha256(text, _INDEX)
        if not sha256:
            raise PlaceFailed("its InRelease lists no index of sources")
        kept = self.cache / "sources" / f".index-{sha256}.sealed"
        if content := read_sealed(kept):
            return tuple(PoolFile(**one) for one in json.loads(content))
        index = self._get(f"{url}/{_INDEX}", folder)
        if sha256_of(index) != sha256:
            raise PlaceFailed("its index of sources is not the one that was signed")
        with lzma.open(index, "rt", encoding="utf-8", errors="replace") as lines:
            found = tuple(pool_files(lines))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_sealed(kept, json.dumps([asdict(one) for one in found]).encode())
        return found

    def _get(self, url: str, folder: Path) -> Path:
        target = folder / url.rsplit("/", 1)[-1]
        download(url, target, on_event=lambda _: None, until=self.until)
        return target

    def signed_text(self, file: Path, keys: Sequence[str]) -> str:
        """What of a clear-signed file is signed. Raises PlaceFailed where no key of the keyrings has signed it."""
        rings = [str(self.keyrings / name) for name in keys if (self.keyrings / name).is_file()]
        if not rings:
            raise InfraError(f"{self.keyrings} has no {keys[0]}", hint="apt-get install debian-archive-keyring")
        text, log = file.with_suffix(".text"), file.with_suffix(".log")
        argv = ["gpgv", *(word for ring in rings for word in ("--keyring", ring)), "--output", str(text), str(file)]
        if run(argv, log=log, until=self.until).status != 0:
            raise PlaceFailed(f"no key in {', '.join(rings)} has signed it")
        return text.read_text(encoding="utf-8", errors="replace")

    def _by_dsc(self, version: str, others: Sequence[str]) -> PoolFile:
        """Of a version that has left all suites: by the .dsc beside it, which its maintainer signed."""
        path = f"{_DSC_FOLDER}/linux_{version}.orig.tar.xz"
        with scratch_folder() as scratch:
            folder = Path(scratch)
            for site in self._mirrors(folder):
                try:
                    dsc = self._get(f"{site}/{_DSC_FOLDER}/linux_{version}-1.dsc", folder)
                except PlaceFailed:
                    continue
                try:
                    text = self.signed_text(dsc, _PACKAGE_KEYS)
                except (PlaceFailed, InfraError) as error:
                    raise _refusal(version, path, dsc.read_text(errors="replace"), str(error)) from error
                if sha256 := dsc_file(text, version):
                    return PoolFile(version=version, path=path, sha256=sha256)
        known = near(version, others)
        it_has = f"; the nearest that it has: {', '.join(known)}" if known else ""
        named = f"--kernel {known[0].replace('~', '-')}, " if known else ""
        raise UserError(
            f"neither kernels/ nor Debian's pool has Linux {version}{it_has}",
            hint=f"{named}--tree DIR, or a file in kernels/: kernels/README.md",
        )


def _refusal(version: str, path: str, dsc: str, why: str) -> UserError:
    """What to write for a kernel whose hash could not be verified, if the user can."""
    sha256 = dsc_file(dsc, version) or "the SHA-256 of the archive"
    file = f'  version: "{version}"\n  places:\n    - debian: {path}\n      sha256: {sha256}'
    return UserError(
        f"the hash of Linux {version} in Debian's pool can't be verified: {why}. "
        f"If you have it from somebody you trust, write kernels/{version}.yaml:\n{file}",
        hint="apt-get install debian-keyring  # has the keys of those who sign packages",
    )
