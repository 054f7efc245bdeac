# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU tells of chosen instructions, of both arches."""

from orchestrator.vm.execution_log import entries, log_argv

X86 = """\
Trace 3: 0x7fcc0a39b2c0 [0000000000000000/ffffffff814e8c90/10c0c2b0/ff020200] percpu_ref_kill
RAX=0000000000000001 RBX=ffff888000ca0000 RCX=0000000000000004 RDX=0000000000000003
RSI=0000000000000002 RDI=0000000000000001 RBP=ffff888000ca0348 RSP=ffff888000ddfcf8
R8 =0000000000000005 R9 =0000000000000006 R10=000000000000000a R11=0fffffffffffffff
R12=00000000fff7ffff R13=ffff888000ddfd58 R14=ffff888000ca0000 R15=ffff888000a39c00
RIP=ffffffff814e8c90 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
CR0=80050033 CR2=000000002157fd40 CR3=0000000000954000 CR4=003506b0
""".splitlines()
ARM64 = """\
Trace 0: 0x7f3c4c0a1b80 [0000000000000000/ffff800080012340/11000034/ff020200]
 PC=ffff800080012340 X00=0000000000000001 X01=0000000000000002
X02=0000000000000003 X03=0000000000000004 X04=0000000000000005
X05=0000000000000006 X06=0000000000000007 X07=0000000000000008
X08=00000000000000ff X09=0000000000000000 X10=0000000000000000
X11=0000000000000000 X12=0000000000000000 X13=0000000000000000
X14=0000000000000000 X15=0000000000000000 X16=0000000000000000
X17=0000000000000000 X18=0000000000000000 X19=0000000000000000
X20=0000000000000000 X21=0000000000000000 X22=0000000000000000
X23=0000000000000000 X24=0000000000000000 X25=0000000000000000
X26=0000000000000000 X27=0000000000000000 X28=0000000000000000
X29=0000000000000000 X30=ffff800080012330  SP=ffff8000827ebd60
""".splitlines()


def test_the_registers_of_arguments_in_their_order() -> None:
    x86, arm64 = entries([*X86, *ARM64])

    assert (x86.cpu, x86.address, x86.arguments) == (3, 0xFFFFFFFF814E8C90, (1, 2, 3, 4, 5, 6))
    assert (arm64.cpu, arm64.address, arm64.arguments) == (0, 0xFFFF800080012340, (1, 2, 3, 4, 5, 6, 7, 8))


def test_all_registers_but_the_stack_pointer() -> None:
    x86, arm64 = entries([*X86, *ARM64])

    assert len(x86.registers) == 15
    assert {0xFFFF888000CA0000, 0xFFFF888000A39C00} < set(x86.registers)
    assert 0xFFFF888000DDFCF8 not in x86.registers
    assert len(arm64.registers) == 31
    assert arm64.registers[30] == 0xFFFF800080012330


def test_other_lines_of_qemu_s_tell_nothing() -> None:
    assert list(entries(["qemu-system-x86_64: warning: x", *X86[1:], "Trace x: RDI=0000000000000001"])) == []


def test_one_that_was_cut_off_is_left_out() -> None:
    assert list(entries(X86[:3])) == []
    assert [entry.cpu for entry in entries([*X86[:3], *ARM64])] == [0]


def test_only_the_first_instruction_of_each_is_asked_for() -> None:
    assert log_argv((0xFFFFFFFF814E8C90, 0x10)) == [
        *("-d", "exec,cpu,nochain"),
        *("-dfilter", "0xffffffff814e8c90+1,0x10+1"),
    ]
    assert log_argv(()) == []


def test_of_an_inlined_copy_the_first_bytes_are_asked_for() -> None:
    assert log_argv((0x10, 0x40), (0x40,))[-1] == "0x10+1,0x40+16"


def test_a_log_that_begins_later_has_its_places_only() -> None:
    assert log_argv((0x10,), later=True) == ["-dfilter", "0x10+1"]
