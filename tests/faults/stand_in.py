# SPDX-License-Identifier: GPL-2.0-or-later
"""A bwrap that shows the fake QEMU what it needs in its sandbox, and leaves everything else as patchrig asks for it."""

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.faults import PROJECT
from tests.process.fake_host import FAKE, Host

# The words are gone through once; each is put behind the last one, and all of them are taken away from the front.
WRAPPER = """\
#!/bin/sh
fake= image= before= there=
for word do
    case "$word" in */qemu-system-*|qemu-system-*) fake=1 ;; esac
    [ "$word" != /guest/image ] || image=${image:-$before}
    before=$word
done
[ -n "$fake" ] || exec /usr/bin/bwrap "$@"
count=$#
for word do
    if [ "$word" = --remount-ro ] && [ -z "$there" ]; then
        there=1
        set -- "$@" @MOUNTS@ --ro-bind-try "${image%/*}/config" /guest/config
    fi
    set -- "$@" "$word"
done
shift "$count"
exec /usr/bin/bwrap "$@"
"""


def put_beside(host: Host) -> None:
    """Make the wrapper the first bwrap on the host's PATH."""
    host.state.chmod(0o777)
    python = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}
    readable = [place for place in (*python, PROJECT, FAKE.parent, host.programs) if not place.is_relative_to("/usr")]
    mounts = [*_mounts("--ro-bind", readable), *_mounts("--bind", [host.state])]
    wrapper = host.programs / "bwrap"
    wrapper.write_text(WRAPPER.replace("@MOUNTS@", " ".join(f"'{word}'" for word in mounts)))
    wrapper.chmod(0o755)


def _mounts(kind: str, places: Iterable[Path]) -> list[str]:
    words = []
    for place in places:
        for parent in reversed(place.parents):
            words += ["--perms", "0755", "--dir", str(parent)]
        words += [kind, str(place), str(place)]
    return words
