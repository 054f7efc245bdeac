# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest architectures: one entry each, and no `if arch ==` anywhere else."""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, kw_only=True, slots=True)
class Arch:
    """One guest architecture, in the spelling of each tool that has to be told."""

    name: str  # on our command line and in configs/
    kbuild: str  # ARCH= for make
    compiler_prefix: str  # CROSS_COMPILE= for make, and the guest programs' compiler
    gcc_package: str  # Debian package of that compiler
    libc_package: str  # Debian package with the static libc for the guest programs
    debian: str  # dpkg's name, for the guest's root file system
    qemu: str  # qemu-system-*
    qemu_package: str
    make_target: str
    image: PurePosixPath  # what make leaves behind, relative to O=
    machine: tuple[str, ...]
    numa_machine: tuple[str, ...]  # what a guest of several nodes needs beside that
    tcg_cpu: str
    fixed_machine: tuple[str, ...]  # what a deterministic guest needs beside its machine
    fixed_cpu: str  # of a deterministic guest: without instructions that ask the host for randomness
    fixed_idle: str  # the kernel parameter with which an idle CPU polls instead of halting
    blk_device: str  # the virtio-blk front end of this machine
    net_device: str
    rng_device: str
    kernel_parameters: tuple[str, ...]
    kvm_firmware: bytes  # what KVM is first tried with, run at the reset vector; b"": straight with a kernel


ARCHES = {
    arch.name: arch
    for arch in (
        Arch(
            name="x86_64",
            kbuild="x86_64",
            compiler_prefix="x86_64-linux-gnu-",
            gcc_package="gcc-x86-64-linux-gnu",
            libc_package="libc6-dev",
            debian="amd64",
            qemu="x86_64",
            qemu_package="qemu-system-x86",
            make_target="vmlinux",
            # The ELF file itself: QEMU enters it through its PVH note, so no guest second goes into decompression.
            image=PurePosixPath("vmlinux"),
            # What the kernel has no driver for is left out.
            machine=("-machine", "q35,acpi=off,hpet=off,smm=off,vmport=off,sata=off,usb=off"),
            # Nothing else tells the kernel which memory and which CPU belong to a node.
            numa_machine=("-machine", "acpi=on"),
            # With a CPU that is said to be quick at string instructions, the kernel clears and copies pages with them:
            # byte by byte under emulation.
            tcg_cpu="max,erms=off",
            fixed_machine=(),
            fixed_cpu="max,erms=off,rdrand=off,rdseed=off",
            fixed_idle="idle=poll",
            blk_device="virtio-blk-pci",
            # Without the boot ROM that Debian packages elsewhere; nobody boots from the network.
            net_device="virtio-net-pci,romfile=",
            rng_device="virtio-rng-pci",
            kernel_parameters=(
                "console=ttyS0",
                # Without ACPI a reset is a triple fault, which -no-reboot turns into QEMU's end.
                "reboot=t",
                # Where the firmware puts q35's PM timer, which ACPI would tell: TSC and APIC timer are calibrated
                # against it. Without it a busy host makes the calibration fail, and timers finer than a jiffy with it.
                "pmtmr=0xb008",
                # As for a TSC of 5 GHz: a delay may be too long, never too short. Measuring it takes each CPU after
                # the first 0.1 s, and a busy host makes it fail.
                "lpj=5000000",
                # Of a vendor it has no code for the kernel waits 10 ms for each CPU, as those of the nineties wanted.
                "cpu_init_udelay=0",
                # A timer interrupt that the busy host delivers late must not end in a panic of the timer test.
                "no_timer_check",
                # Stalls are the host's here, and no reason to give up the TSC.
                "tsc=reliable",
            ),
            # out 0xf4, 0x10; hlt: QEMU's debug-exit device ends QEMU once this has really been executed.
            kvm_firmware=bytes((0xB0, 0x10, 0xE6, 0xF4, 0xF4)),
        ),
        Arch(
            name="arm64",
            kbuild="arm64",
            compiler_prefix="aarch64-linux-gnu-",
            gcc_package="gcc-aarch64-linux-gnu",
            libc_package="libc6-dev-arm64-cross",
            debian="arm64",
            qemu="aarch64",
            qemu_package="qemu-system-arm",
            make_target="Image",
            image=PurePosixPath("arch/arm64/boot/Image"),
            machine=("-machine", "virt,gic-version=3"),
            # Its device tree tells.
            numa_machine=(),
            # Pointer authentication by QARMA is very slow under TCG; QEMU's own hash is not.
            tcg_cpu="max,pauth-impdef=on",
            # Seeds of the kernel's randomness and of KASLR would come from the host.
            fixed_machine=("-machine", "dtb-randomness=off"),
            # Has pages of all sizes and atomic instructions, and neither RNDR nor pointer authentication.
            fixed_cpu="cortex-a76",
            fixed_idle="nohlt",
            blk_device="virtio-blk-device",
            net_device="virtio-net-device",
            rng_device="virtio-rng-device",
            kernel_parameters=("console=ttyAMA0",),
            kvm_firmware=b"",
        ),
    )
}
