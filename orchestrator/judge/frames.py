# SPDX-License-Identifier: GPL-2.0-or-later
"""Stack traces: which function a line names, and which functions say nothing about the bug."""

import re
from dataclasses import dataclass

from orchestrator.model.stacks import StackFrame

# A C function, or a path of a Rust one. The suffixes that compilers add are cut off: they differ between builds.
NAME = r"(?:[A-Za-z_$][\w.$]*|<[^+]*>(?:::\w+)+|_?\w+(?:::\w+)+)"
OFFSET = r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?"
_WORD = "0x[0-9a-f]{1,16}"  # no number of a kernel's has more than 64 bits
# What OFFSET matches, taken apart; the module may be followed by its build id.
STACK_FRAME = re.compile(
    rf"(?P<function>{NAME})\+(?P<offset>{_WORD})(?:/(?P<size>{_WORD}))?(?: \[(?P<module>[\w-]+)[ \]])?"
)
# A web archive takes what is in <> for a tag.
ADDRESS = r"(?:\[<[^>\]]*>\] *|\[\] +|\[[0-9a-f]{8,16}\] *)"

# riscv has no word of its own: there the registers end with this.
TRACE_START = re.compile(
    r".*(?:Call [Tt]race|[Bb]acktrace(?: \(crc \w+\))?):|.*\(unwind_backtrace\) from |\s*unwind_backtrace from "
    r"|status: \w+ badaddr: \w+ cause: "
)
# What comes after the last frame: the next part of the report, registers of user mode, or another CPU's stack.
TRACE_END = re.compile(
    r"\s*(?:---+\[ end|RIP: 0033:|Modules linked in|Allocated by|Freed by|Code: |={20}|Kernel (?:Offset|panic)"
    r"|NMI backtrace|Sending NMI|CPU: \d|Uninit was|kfence-#|The buggy address|Memory state|Task dump|task:"
    r"|Showing all locks|Rebooting in)"
)
# The outermost frames: whatever follows belongs to something else.
OUTERMOST = re.compile(
    r"(?:ret_from_(?:fork|kernel_thread)\w*|ret_to_kernel|entry_SYSCALL\w*|entry_SYSENTER\w*|el0t?_\w*sync\w*|el0_svc"
    r"|ret_fast_syscall|secondary_startup\w*|x86_64_start_kernel|start_kernel|system_call(?:_common|_vectored)?|syscall_common"
    r"|handle_sys\w*)$"
)
# Where scripts/decode_stacktrace.sh puts a place instead of the offset: "foo (mm/foo.c:12 (discriminator 3)) mod".
DECODED = r" +\((?:[^\s():]+\.[A-Za-z]+|\?\?):[\d?]"
# s390 has guesses, too, in brackets; until v2.6.28 a module stood before the function.
# kmemleak.verbose puts its name before all.
_BEFORE = rf"\s*(?:kmemleak: +)?(?:<[A-Z#0-9]+> *)?\(?{ADDRESS}*(?P<guess>\? *)?(?::\w+:)?"
FRAME = re.compile(rf"{_BEFORE}(?P<function>{NAME})(?:{OFFSET}|{DECODED})")
INLINED = re.compile(rf"\s*{ADDRESS}*(?P<function>{NAME}) \S+:\d+ \[inline\]")
# 32-bit arm prints callee and caller on one line.
_MODULE = r"(?: \[[\w-]+\])?"
ARM_FRAME = re.compile(
    rf"\s*(?:{ADDRESS}\((?P<function>{NAME})(?:{OFFSET})?{_MODULE}\)|(?P<plain>{NAME}){_MODULE})"
    rf" from (?:{ADDRESS}\(?)?(?P<caller>{NAME})"
)
# What may stand between the frames of one trace: stack switches and the registers of an interrupted context.
NEUTRAL = re.compile(
    r"\s*(?:</?[A-Z#0-9]+>|r\d+:|R[0-9A-Z]{1,2}P?:|[A-Z]{2,3}[0-9]?: |Code: |EFLAGS|ORIG_RAX|Exception stack"
    r"|[0-9a-f]{1,4}0: |[0-9a-f]{8,16}(?: [0-9a-f]{8,16})*$|$)"
)
# x86, powerpc; 32-bit arm; arm64, riscv, mips; loongarch; s390; sparc.
PROGRAM_COUNTER = re.compile(
    r"\s*(?:[REN]?IP(?: is)?(?: at)?:?|PC is at|e?pc *:|ERA *:|Krnl PSW *:|TPC: *<) *(?:[0-9a-f]{4}:)?\s*"
    rf"(?:[0-9a-f]{{8,16}} +){{0,2}}{ADDRESS}*\(?(?P<function>{NAME})(?:{OFFSET}|{DECODED})"
)

# Who was running: CPU and Comm (since v6.11 with a UID), KASAN, hung tasks, lockups, lockdep, kmemleak, arm64.
TASK = re.compile(
    "|".join(
        (
            r"CPU: \d+ (?:UID: \d+ )?PID: -?\d+ Comm: (.{1,15}?)"
            r"(?: (?:Kdump: loaded )?(?:(?:Not t|T)ainted|Not(?: =)?$)|(?: =)?$)",
            r", CPU#\d+: (.{1,15})/\d+$",
            r"(?:by task |preemptible \[\d+\] code: )(.{1,15})/\d+",
            r"in process (.{1,15}?) +p(?:fn|te|md):",
            r"INFO: task (.{1,15}?):\d+ ",
            r"^task:(.{1,15}?) +state:",
            r"! \[(.{1,15}?):\d+\]",
            r"^\s*(?:WARNING: )?(\S.{0,14}?)/\d+ (?:\[HC\S+ )?(?:is|just|takes|still)\b",
            r"^Process (.{1,15}?) \(pid: ",
            r"^in_atomic\(\): .* name: (.{1,15})$",
            r"^(?:kmemleak:)? *comm \"(.{1,15}?)\", pid",
            r"^(\S.{0,14}?) +R  running task +\d+ +\d+ +\d+ 0x[0-9a-f]{8}",
        )
    )
)

# C++, and Rust in its two ways (legacy and v0); a v0 name has disambiguators and back references between its parts.
MANGLED = ("_Z", "_R")
_MANGLED_PART = re.compile(r"[sB][0-9A-Za-z]*_|(?P<length>\d{1,3})_?")
_RUST_HASH = re.compile(r"h[0-9a-f]{16}$")

SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$")
# How each arch and compiler spells the entry of one system call. x64_sys_call() calls them all.
SYSCALL = re.compile(
    r"^(?:(?:__)?(?:x64|arm64|ia32|se|do|x32)_(?:compat_)?sys_|(?:__)?(?:compat_)?SyS_|SYSC_|SyS_)(?!call$)(?=\w)"
)

# Who was running: the line with the taint, a sanitizer's "by task", or a hung task's own lines.


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One line of a stack trace. A guess is an address that merely lay on the stack."""

    function: str
    guess: bool = False
    inlined: bool = False  # only a symbolised trace has those, and a bug's name must not depend on that
    caller: str = ""


def find_frame(text: str) -> Frame | None:
    """The frame that a line shows, or None."""
    if ("+0x" in text or " (" in text) and (found := FRAME.match(text)):
        return Frame(function=plain_name(found["function"]), guess=bool(found["guess"]))
    if "[inline]" in text and (found := INLINED.match(text)):
        return Frame(function=plain_name(found["function"]), inlined=True)
    if " from " in text and (found := ARM_FRAME.match(text)):
        return Frame(function=plain_name(found["function"] or found["plain"]), caller=plain_name(found["caller"]))
    return None


def stack_frame(text: str, *, exact: bool = False) -> StackFrame | None:
    """The frame of a line that find_frame() or PROGRAM_COUNTER knows, with offset and size; None for one without."""
    found = STACK_FRAME.search(text)
    if found is None:
        return None
    return StackFrame(
        function=found["function"],
        offset=int(found["offset"], 16),
        size=int(found["size"] or "0", 16),
        exact=exact,
        module=found["module"] or "",
    )


def find_task(text: str) -> str:
    """The name of the task that a line says was running, or ""."""
    found = TASK.search(text)
    return next(filter(None, found.groups()), "") if found else ""


def plain_name(function: str) -> str:
    """A function's name as both arches and all compilers have it: no suffixes, one spelling for a system call."""
    if function.startswith(MANGLED):
        function = _demangled(function)
    return SYSCALL.sub(_syscall, SUFFIX.sub("", function))


def _syscall(found: re.Match[str]) -> str:
    """A 32-bit program's call is a function of its own."""
    return "compat_sys_" if "compat_" in found[0] else "sys_"


def _demangled(symbol: str) -> str:
    """The path in a mangled name, without types and hashes: core::panicking::panic_fmt. Itself if there is none."""
    parts, at = [], 2
    while at < len(symbol):
        found = _MANGLED_PART.match(symbol, at)
        at = found.end() if found else at + 1
        if found and found["length"]:
            end = at + int(found["length"])
            parts.append(symbol[at:end])
            at = end
            # Itanium's plain names have one part, and the types of the arguments after it.
            if symbol[:3] not in ("_ZN", "_RN", "_RI", "_RC"):
                break
    return "::".join(part for part in parts if not _RUST_HASH.match(part)) or symbol
