# SPDX-License-Identifier: GPL-2.0-or-later
"""What kconfig is asked for: by the fragments of a flavour, by hand, and for the code that a series changes."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.host.errors import UserError
from orchestrator.kernel.compile.kconfig import config_text, merge, not_granted, parse_config, parse_fragment
from orchestrator.model.images import KernelImage


@dataclass(frozen=True, kw_only=True, slots=True)
class MoreOptions:
    """What the kernels of a run have beside their flavours. Names are without CONFIG_."""

    by_hand: Mapping[str, str] = field(default_factory=dict)  # granted, or the user is told why not
    wanted: Mapping[str, str] = field(default_factory=dict)  # granted where kconfig does that

    def without(self, names: Iterable[str]) -> "MoreOptions":
        """For a kernel that can't have these."""
        gone = frozenset(names)
        by_hand, wanted = (
            {name: value for name, value in options.items() if name not in gone}
            for options in (self.by_hand, self.wanted)
        )
        return MoreOptions(by_hand=by_hand, wanted=wanted)

    def with_options(self, image: KernelImage) -> KernelImage:
        """The image, which says what of it the kernel has."""
        every = {**self.wanted, **self.by_hand}
        if not every:
            return image
        lacking = {one.symbol for one in not_granted(every, parse_config(image.config.read_text(errors="replace")))}
        there = (f"CONFIG_{name}={value}" for name, value in every.items() if name not in lacking)
        return replace(image, options=tuple(there))


NO_MORE = MoreOptions()


def options_asked(fragments: Iterable[Path]) -> dict[str, str]:
    """What kconfig fragments ask for together; later ones win."""
    return merge(_read_fragment(path) for path in fragments)


def _read_fragment(path: Path) -> dict[str, str]:
    try:
        return parse_fragment(path.read_text(), str(path))
    except FileNotFoundError as error:
        raise UserError(f"there is no kconfig fragment {path}", hint=f"ls {path.parent}") from error


def config_hash(asked: Mapping[str, str], added: Sequence[str] = (), wanted: Mapping[str, str] | None = None) -> str:
    """Of all that is asked for; `added`: by the series itself."""
    more = (f"wanted:\n{config_text(wanted)}",) if wanted else ()
    return hashlib.sha256("\n".join((config_text(asked), *added, *more)).encode()).hexdigest()
