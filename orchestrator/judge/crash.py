# SPDX-License-Identifier: GPL-2.0-or-later
"""One report on the console: its lines, its stack, and the crash that it tells of."""

import re
from dataclasses import dataclass, field

from orchestrator.judge.frames import (
    NEUTRAL,
    OUTERMOST,
    PROGRAM_COUNTER,
    TRACE_END,
    TRACE_START,
    Frame,
    find_frame,
    find_task,
    plain_name,
    stack_frame,
)
from orchestrator.judge.infrastructure import (
    BIG_LOCKS,
    CLOCK,
    DISPATCHERS,
    ENTRY,
    EXCEPTIONS,
    GRACE_PERIODS,
    INFRASTRUCTURE,
    LOCKS,
    MAKERS,
    REPORTING,
    SCHEDULING,
    TICKS,
    WAITS,
    Family,
)
from orchestrator.judge.lines import Line
from orchestrator.judge.patterns import (
    CHECK_PLACES,
    CHECK_TITLES,
    Pattern,
    Source,
)
from orchestrator.model.crashes import Crash, CrashKind, Severity
from orchestrator.model.stacks import StackFrame

LINES_BEFORE = 8
LINES_AFTER = 32
# A report's own lines: lockdep's, with all dependency chains, have about 300, an overflown stack's trace 1000.
REPORT_LINES = 1500
# No report has as many lines in a row without a frame; what comes after them is something else.
IDLE_LINES = 200
MOST_FRAMES = 64
# Lines that interrupt a trace without ending it: few where the kernel names each line's caller.
FEW_STRANGERS = 2
MANY_STRANGERS = 8
CUT_SHORT = 10
# A CPU that waits for all others in one of these is the victim, whoever called it.
CROSS_CALL = "smp_call_function"
# All that waits for a grace period of RCU's waits for the same.
GRACE_PERIOD = "synchronize_rcu"
# What is kept of a line; a kernel's own are shorter, a workload's are not ours to keep.
LONGEST_TEXT = 400

# What BUG() and WARN() put above their reports: what comes before says what the report is about.
CUT_HERE = "[ cut here ]"
# What a sanitizer puts around its reports.
RULE = "=" * 20

# What a dispatcher calls before and after its work is not the work.
NO_WORK = (DISPATCHERS, TICKS, *INFRASTRUCTURE, LOCKS, WAITS, SCHEDULING)
# So many frames of the way into a report lie between two that are known for it.
WAY_IN = 6

_END = re.compile(r"-+\[ end (?:trace|Kernel panic)")
# The trap's program counter, in <>, is that of the next instruction.
_BYTE_BEFORE = re.compile(r"\bCode: (?:[0-9a-f]{2} )*(?P<byte>[0-9a-f]{2}) <[0-9a-f]{2}>")
_ADDRESS = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,16})\b")
_NUMBER = re.compile(r"(?<![\w-])-?\d+\b")


@dataclass(slots=True)
class Report:
    """One splat while its lines come in."""

    pattern: Pattern
    first: Line
    match: re.Match[str]
    follow_up: bool
    text: list[str]
    lines: int = 0
    named: list[str] = field(default_factory=list)
    checked_for: tuple[Family, ...] = ()  # infrastructure besides the pattern's, by the file with the check
    unfinished: str = ""  # a line that a mail program broke before the place
    detail: str = ""
    counter: str = ""
    task: str = ""
    in_trace: bool = False
    trace_done: bool = False
    strangers: int = 0
    idle: int = 0  # lines since the last frame
    early: list[Frame] = field(default_factory=list)  # before any trace began
    inner: str = ""  # the frame before
    work: str = ""  # the last frame that is not infrastructure
    caller: str = ""  # of a frame whose line names both
    below: str = ""
    clock_seen: bool = False
    cross_call: bool = False
    frames: list[str] = field(default_factory=list)
    executed: StackFrame | None = None  # where the program counter stood
    stack: list[StackFrame] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)  # where in the stack each of several begins
    complete: bool = False

    def add(self, line: Line) -> None:
        self.lines += 1
        if len(self.text) < LINES_BEFORE + LINES_AFTER:
            self.text.append(line.text[:LONGEST_TEXT])
        if not self.mine(line):
            self.complete = self.complete or self.lines >= REPORT_LINES
            return
        self._learn(line.text)
        if CUT_HERE in line.text:
            self.early.clear()  # The stack of who owns the page, above.
        self._trace(line.text)
        # How many stacks are still to come is not known.
        done = self.trace_done and not self.pattern.part
        patience = LINES_AFTER if self.doubtful else IDLE_LINES
        enough = done or not self.pattern.sources or self.idle >= patience
        if self.lines >= REPORT_LINES or (enough and self.lines >= LINES_AFTER) or _END.match(line.text):
            self.complete = True

    @property
    def silent(self) -> bool:
        """Whether it is no splat, after all."""
        return self.pattern.silent or (self.doubtful and not self.frames)

    @property
    def doubtful(self) -> bool:
        """Whether it needs a stack to be a splat."""
        return self.pattern.prose or (self.pattern.common and not self.first.named)

    def mine(self, line: Line) -> bool:
        return self.pattern.all_callers or not line.caller or line.caller == self.first.caller

    def _learn(self, text: str) -> None:
        """What the lines around the trace tell: the access, the program counter, the lock's place."""
        pattern = self.pattern
        if pattern.detail and not self.detail and (found := pattern.detail.match(text)):
            self.detail = _scrub(found["detail"])
        if pattern.named and len(self.named) < pattern.names and (found := pattern.named.match(self.unfinished + text)):
            self.named.append(plain_name(next(filter(None, found.groupdict().values()), "")))
        self.unfinished = f"{text} " if text.endswith(" at:") else ""
        # Below several stacks it comes later.
        if not self.task and (self.lines <= LINES_AFTER or pattern.part):
            self.task = find_task(text)
        if not self.trace_done and ("+0x" in text or " (" in text) and (found := PROGRAM_COUNTER.match(text)):
            self._note_counter(plain_name(found["function"]), stack_frame(text, exact=True))

    def _note_counter(self, function: str, frame: StackFrame | None) -> None:
        """Above a trace the counter is where it all happened; inside one, where an interrupt came."""
        self.counter = self.counter or function
        self.cross_call = self.cross_call or function.startswith(CROSS_CALL)
        if not (self.in_trace and self.frames):
            self.executed = self.executed or frame
            return
        self.stack += [frame] if frame else []
        self._add_frame(function)

    def _trace(self, text: str) -> None:
        if self.pattern.part:
            self._part(text)
        if self.trace_done:
            return
        if ("race" in text or "cause: " in text) and TRACE_START.match(text):
            self._end_trace()
            if not self.trace_done:
                self.in_trace, self.frames, self.inner, self.below, self.strangers = True, [], "", "", 0
                self.stack, self.work = [], ""
            return
        frame = find_frame(text)
        self.idle = 0 if frame else self.idle + 1
        if frame is not None and self.pattern.bare_trace and not self.frames:
            self.in_trace = True
        if not self.in_trace:
            if frame and not frame.inlined and not self.frames and len(self.early) < MOST_FRAMES:
                self.early.append(frame)
            return
        if frame is None:
            self._stranger(text)
        elif not frame.guess and not frame.inlined:
            self._traced(frame, text)

    def _part(self, text: str) -> None:
        """The stacks of a report that has several are kept one after another; the last line is a row of signs."""
        assert self.pattern.part is not None
        if self.pattern.part.match(text):
            self._end_trace()
            self.in_trace, self.trace_done, self.inner, self.below, self.strangers = True, False, "", "", 0
            self.parts.append(len(self.stack))
        elif text.startswith(RULE):
            self._end_trace()
            self.complete = True

    def _traced(self, frame: Frame, text: str) -> None:
        self.strangers = 0
        self._add_frame(frame.function)
        # The next line names its caller again, and better, unless this was the last one.
        self.caller = frame.caller
        if DISPATCHERS.match(frame.caller) or OUTERMOST.match(frame.caller):
            self._add_frame(frame.caller)
        if shown := stack_frame(text):
            self.stack.append(shown)

    def _stranger(self, text: str) -> None:
        """A line that is no frame ends the trace, unless another task's message may have come between."""
        if not self.frames or NEUTRAL.match(text):
            return
        self.strangers += self._says_something() or bool(self.first.caller)
        most = FEW_STRANGERS if self.first.caller else MANY_STRANGERS
        if TRACE_END.match(text) or (self.strangers > most and not PROGRAM_COUNTER.match(text)):
            self._end_trace()

    def _add_frame(self, function: str) -> None:
        # The clock's interrupt noticed the stall; what an interrupt did before it is not what the CPU was busy with.
        if not self.clock_seen and CLOCK.match(function):
            self.clock_seen, self.cross_call, self.below, self.inner, self.work = True, False, "", "", ""
        if self.work and not self.below and any(of.match(function) for of in self.pattern.dispatchers):
            self.below = self.work
        self.cross_call = self.cross_call or (not self.below and CROSS_CALL in function)
        if Source.BELOW_DISPATCHER in self.pattern.sources and not self._no_work(function):
            self.work = function
        self.inner = function
        if len(self.frames) < MOST_FRAMES:
            self.frames.append(function)
        if OUTERMOST.match(function):
            self._end_trace()

    def _no_work(self, function: str) -> bool:
        return any(skip.match(function) for skip in (*NO_WORK, *self.pattern.dispatchers))

    def _end_trace(self) -> None:
        """Keep a trace that says something; one of the reporting infrastructure alone makes room for the next."""
        if not self.in_trace:
            return
        self.in_trace = False
        if self.caller and self.caller != self.inner:
            self.frames.append(self.caller)
        self.caller = ""
        # What comes below the stack of a hung task is that of another task.
        self.trace_done = bool(self.frames) if self.pattern.kind is CrashKind.HANG else self._says_something()

    def _says_something(self) -> bool:
        return any(not self._skipped(name) for name in self._callers())

    def _callers(self) -> list[str]:
        """The frames without those above the place that the report names, or without the way into the report."""
        groups = self.match.groupdict()
        counter = self.counter if Source.COUNTER in self.pattern.sources else ""
        for named in (groups.get("function") or groups.get("place"), counter):
            if named and plain_name(named) in self.frames:
                return self.frames[self.frames.index(plain_name(named)) :]
        last = -1
        for index, name in enumerate(self.frames):
            if MAKERS.match(name):
                last = index
            elif index - last > WAY_IN:
                break
        return self.frames[last + 1 :]

    def _skipped(self, function: str) -> bool:
        return any(skip.match(function) for skip in self.pattern.skip)

    def crash(self) -> Crash:
        self._end_trace()
        if not (self.frames or self.named or self.pattern.prose) and Source.TRACE in self.pattern.sources:
            # Who posts a report cuts lines, that which begins the trace among them.
            self.frames = [frame.function for frame in self.early if not frame.guess]
        kind, title = self.pattern.given or self.pattern.kind, self.pattern.title
        groups = {name: value or "" for name, value in self.match.groupdict().items()}
        file = groups.get("file") or groups.get("path") or ""
        named = groups.get("function") or groups.get("place") or self.counter
        for place in CHECK_PLACES:
            if title in CHECK_TITLES and place.file.match(file) and place.function.match(named):
                kind, title, self.checked_for = place.kind, place.title, place.skip
        function = self._function(groups)
        stack = self._whole_stack()
        return Crash(
            kind=kind,
            title=self._title(title, groups, function),
            function=function,
            line=self.first.number,
            severity=self.pattern.severity,
            frames=tuple(self.frames),
            task=self.task,
            corrupted=bool(self.pattern.sources) and not self._whole(),
            follow_up=self.follow_up,
            text="\n".join(self.text),
            stack=stack,
            first=self._first_of(stack, function),
            accesses=tuple(at for at in self.parts if at < len(stack)),
        )

    def _whole_stack(self) -> tuple[StackFrame, ...]:
        """x86 leaves the program counter's own frame out of the trace, arm64 begins with it."""
        stack = self.stack[:MOST_FRAMES]
        if self.executed is None:
            return tuple(stack)
        if stack and (stack[0].function, stack[0].offset) == (self.executed.function, self.executed.offset):
            stack = stack[1:]
        return (self.executed, *stack)

    def _first_of(self, stack: tuple[StackFrame, ...], function: str) -> int:
        names = [plain_name(frame.function) for frame in stack]
        if function in names:
            return names.index(function)
        return next((index for index, name in enumerate(names) if not self._skipped(name)), 0)

    def _whole(self) -> bool:
        wants_trace = any(source in self.pattern.sources for source in (Source.TRACE, Source.BELOW_DISPATCHER))
        return not wants_trace or self._says_something() or bool(self.named)

    def _function(self, groups: dict[str, str]) -> str:
        for source in self.pattern.sources:
            for name in self._candidates(source, groups):
                if name and not any(skip.match(name) for skip in self._skip(source)):
                    return name
        if self.pattern.kind is CrashKind.LOCKDEP and self.named and not self._says_something():
            return self.named[0]  # A report without a stack: where the lock is taken is all that it tells.
        # Nothing but an entry from an exception or into a thread: then that is all that is known of the place.
        bare = self._callers() if Source.TRACE in self.pattern.sources and TICKS not in self.pattern.skip else []
        known = [name for entry in (ENTRY, EXCEPTIONS) for name in bare if entry.match(name)]
        return next(iter(known), "") or self._named_without_trace(groups)

    def _named_without_trace(self, groups: dict[str, str]) -> str:
        """Where the trace was cut off, the helper that the report names. Of a stall that is a place of no meaning."""
        if Source.BELOW_DISPATCHER in self.pattern.sources:
            return ""
        own = [source for source in (Source.LINE, Source.COUNTER) if source in self.pattern.sources]
        names = [name for source in own for name in self._candidates(source, groups)]
        return next((name for name in names if name and not REPORTING.match(name)), "")

    def _skip(self, source: Source) -> tuple[Family, ...]:
        if source in (Source.BELOW_DISPATCHER, Source.COMMON):
            return ()
        if source is Source.NAMED and self.pattern.named_skip is not None:
            return self.pattern.named_skip
        skip = (*self.pattern.skip, *self.checked_for)
        # What the report names itself was no way into it.
        return tuple(of for of in skip if of is not ENTRY) if source in (Source.LINE, Source.COUNTER) else skip

    def _candidates(self, source: Source, groups: dict[str, str]) -> tuple[str, ...]:
        return {
            Source.LINE: (plain_name(groups.get("function") or groups.get("place") or ""),),
            Source.NAMED: tuple(self.named),
            Source.COUNTER: (self.counter,),
            Source.EARLY: tuple(frame.function for frame in self.early),
            Source.TRACE: tuple(self._callers()),
            Source.BELOW_DISPATCHER: (CROSS_CALL if self.cross_call else self.below,),
            Source.COMMON: self._common(),
        }[source]

    def _common(self) -> tuple[str, ...]:
        if Source.COMMON not in self.pattern.sources:
            return ()
        waits = (GRACE_PERIOD if GRACE_PERIODS.match(name) else name for name in self._callers() if _in_common(name))
        return tuple(waits)

    def _title(self, template: str, groups: dict[str, str], function: str) -> str:
        free = {name: _scrub(value) for name, value in groups.items()}
        title = " ".join(part for part in (template.format_map(free), self.detail) if part).strip()
        if groups.get("other"):
            return f"{title} in {function} / {plain_name(groups['other'])}"
        return f"{title} in {function}" if function else title


def _in_common(function: str) -> bool:
    return GRACE_PERIODS.match(function) or BIG_LOCKS.match(function)


def _scrub(text: str) -> str:
    """Free text without what differs from run to run."""
    return _NUMBER.sub("NUM", _ADDRESS.sub("ADDR", text)).strip()


def ends(report: Report, pattern: Pattern) -> bool:
    """Whether a new splat ends a report that is still open."""
    if report.trace_done or report.pattern.severity is not Severity.FATAL:
        return True
    # The report was cut short by a crash of the same task: its trace will be the crash's.
    if report.lines < CUT_SHORT and not report.frames and pattern.kind is CrashKind.OOPS:
        return False
    # With panic_on_warn and the like, the trace of the splat comes after the panic's own line.
    return pattern.severity is Severity.FATAL and pattern.kind is not CrashKind.PANIC


def is_ghost(crash: Crash) -> bool:
    """Whether x86's breakpoint trap came from an address at which the report itself shows another instruction."""
    code = _BYTE_BEFORE.search(crash.text)
    if code is None or crash.kind is not CrashKind.OOPS:
        return False
    return crash.title.startswith("int3") and code["byte"] != "cc"
