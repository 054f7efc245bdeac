# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of images in any order of events: what is found is the build of its key, or nothing."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.kernel.compile.image_cache import find_image, image_key, prune, store_image
from orchestrator.model.images import KernelImage
from tests.unit.kernel.compile.image_samples import BUILD, HASHES, built

SERIES = st.sampled_from(["one", "two", "three"])


class Cache(RuleBasedStateMachine):
    """Three kernels that are built, found, pruned and damaged."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cache-states-"))
        self.cache = self.folder / "cache"
        self.stored: dict[str, dict[str, bytes]] = {}  # what was in a series' folder when it was stored

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def hashes(self, series: str) -> dict[str, str]:
        return HASHES | {"series": series}

    def key(self, series: str) -> str:
        return image_key(self.hashes(series), "x86_64")

    def contents(self, series: str) -> dict[str, bytes]:
        folder = self.cache / "images" / self.key(series)
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}

    def right(self, image: KernelImage, series: str) -> None:
        assert image.image.read_bytes() == f"image of {series}".encode()
        assert image.vmlinux.read_bytes() == f"vmlinux of {series}".encode()
        assert image.hashes["series"] == series

    @rule(series=SERIES)
    def store(self, series: str) -> None:
        out = built(self.folder / "out", image=f"image of {series}".encode(), vmlinux=f"vmlinux of {series}".encode())
        self.right(store_image(self.cache, self.key(series), BUILD, built=out, hashes=self.hashes(series)), series)
        self.stored[series] = self.contents(series)

    @rule(series=SERIES)
    def find(self, series: str) -> None:
        # Two damages may cancel each other out.
        whole = bool(self.contents(series)) and self.contents(series) == self.stored.get(series)
        image = find_image(self.cache, self.key(series), BUILD)
        assert (image is not None) == whole
        if image:
            self.right(image, series)

    @rule(series=SERIES, number=st.integers(0, 4), bit=st.integers(0, 1 << 16), cut=st.booleans())
    def damage(self, series: str, number: int, bit: int, cut: bool) -> None:
        folder = self.cache / "images" / self.key(series)
        if not folder.exists():
            return
        file = sorted(folder.iterdir())[number]
        content = bytearray(file.read_bytes())
        if not content:
            return  # it was cut to nothing before
        content[bit // 8 % len(content)] ^= 1 << bit % 8
        file.unlink()  # its content may be linked to from a run's folder
        file.write_bytes(content[: bit % len(content)] if cut else content)

    @rule(first=SERIES, second=SERIES)
    def swap(self, first: str, second: str) -> None:
        one, two = (self.cache / "images" / self.key(series) for series in (first, second))
        if first != second and one.exists() and not two.exists():
            one.rename(two)

    @rule(series=SERIES)
    def killed_while_storing(self, series: str) -> None:
        fresh = self.cache / "images" / f".new-{self.key(series)}"
        fresh.mkdir(parents=True, exist_ok=True)
        (fresh / "image").write_bytes(b"half")

    @rule(keep=st.sampled_from([0, 1 << 20]))
    def prune(self, keep: int) -> None:
        prune(self.cache, keep)
        assert keep or not any(map(self.contents, ("one", "two", "three")))

    @invariant()
    def nothing_is_left_aside(self) -> None:
        assert not list(self.cache.glob("**/.trash-*"))


Cache.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestCache = Cache.TestCase
