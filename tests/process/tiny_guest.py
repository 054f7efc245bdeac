# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel of a few instructions, which prints on the serial line: a real guest of a real QEMU, up in no time."""

import struct
from pathlib import Path

from orchestrator.model.arch import ARCHES
from orchestrator.vm.argv import VmSpec

# Physical addresses of the code and of the text that it prints.
_CODE, _TEXT = 0x100000, 0x100100
_FILE_OFFSET = 0x1000
_PHYS32_ENTRY = 18  # the ELF note of Xen's that QEMU takes the entry point from (PVH)

# cli; mov dx, 0x3f8; mov esi, TEXT; 1: lodsb; test al, al; jz 2f; out dx, al; jmp 1b; 2: what comes last
_PRINT = b"\xfa\x66\xba\xf8\x03\xbe" + struct.pack("<I", _TEXT) + b"\xac\x84\xc0\x74\x03\xee\xeb\xf8"
_LAST = {
    "stay": b"\xf4\xeb\xfd",  # 2: hlt; jmp 2b
    "reset": b"\x0f\x01\x1d" + struct.pack("<I", _TEXT + 0x800) + b"\xcc",  # lidt of nothing; int3: a triple fault
}

READY = (
    "patchrig: ready cpus=1 memory_kib=65536 speed=200.0 config=00 page_kib=4 nodes=1 memcg=v2 thp=never\n"
    "patchrig: settled\n"
)


def tiny_kernel(path: Path, *, text: str = READY, last: str = "stay") -> Path:
    """An ELF file that QEMU enters as it enters a vmlinux; afterwards it stays, or resets."""
    segment = (_PRINT + _LAST[last]).ljust(_TEXT - _CODE, b"\0") + text.encode().ljust(0x1000, b"\0")
    note = struct.pack("<III4sI", 4, 4, _PHYS32_ENTRY, b"Xen\0", _CODE)
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1, _CODE, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    load = struct.pack("<8I", 1, _FILE_OFFSET, _CODE, _CODE, len(segment), len(segment), 7, 4096)
    noted = struct.pack("<8I", 4, 0x800, 0, 0, len(note), len(note), 4, 4)
    start = (header + load + noted).ljust(0x800, b"\0") + note
    path.write_bytes(start.ljust(_FILE_OFFSET, b"\0") + segment)
    return path


def tiny_spec(folder: Path, *, sandbox: bool = True, text: str = READY, last: str = "stay") -> VmSpec:
    """A guest of one CPU and 64 MiB in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    initramfs = folder / "initramfs"
    initramfs.write_bytes(bytes(512))
    return VmSpec(
        arch=ARCHES["x86_64"],
        image=tiny_kernel(folder / "image", text=text, last=last),
        initramfs=initramfs,
        memory_mib=64,
        cpus=1,
        kvm=False,
        disk_mib=(1,),
        sandbox=sandbox,
    )
