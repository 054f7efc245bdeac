# SPDX-License-Identifier: GPL-2.0-or-later
"""What kernel functions do, by the words of their names: tables and the questions asked of them (pure)."""

import re

_ACQUIRE = frozenset(
    {
        *("get", "tryget", "lock", "trylock", "pin", "ref", "acquire", "begin", "start", "map", "disable", "down"),
        *("isolate", "charge", "enter", "hold", "grab", "reserve", "prepare", "alloc", "register", "add", "inc"),
    }
)
_RELEASE = frozenset(
    {
        *(
            "put",
            "unlock",
            "unpin",
            "unref",
            "release",
            "end",
            "finish",
            "unmap",
            "enable",
            "up",
            "putback",
            "uncharge",
        ),
        *("exit", "drop", "unhold", "unreserve", "free", "kfree", "kvfree", "vfree", "unregister", "del", "dec"),
        *("destroy", "clear", "restore", "unprepare", "cancel", "unuse", "remove", "kill", "stop"),
    }
)
# Words of the release side -> those of the acquiring side that they end.
_ENDS = {
    "put": {"get", "tryget", "grab", "ref"},
    "unlock": {"lock", "trylock"},
    "unpin": {"pin"},
    "release": {"acquire", "get", "tryget"},
    "end": {"begin", "start"},
    "unmap": {"map"},
    "enable": {"disable"},
    "up": {"down", "trylock"},
    "uncharge": {"charge"},
    "exit": {"enter"},
    "dec": {"inc"},
    "del": {"add"},
    "free": {"alloc"},
}
# Of these a second one changes nothing.
_ONCE_IS_ALL = frozenset({"clear", "cancel", "stop", "restore"})
# They end in a word of a release and move data.
_NO_RELEASE = re.compile(r"^(?:__)?put_user$|^put_unaligned|^seq_put|^(?:set|clear)_bit$|^clear_(?:page|highpage)")
# Messages, assertions, trace points and statistics: a kernel without them is as good.
_WITHOUT_MEANING = re.compile(
    r"^_?(?:printk|pr_|dev_(?:dbg|info|warn|err|notice)|netdev_(?:dbg|info|warn|err)|net_\w*ratelimited|seq_p|sysfs_emit"
    r"|WARN|BUG|VM_WARN|VM_BUG|BUILD_BUG|DEBUG_|dump_|lockdep_|might_|trace_|static_assert|kmemleak_|kasan_|kcsan_"
    r"|kmsan_|instrument_|data_race|ASSERT|debug_|NL_SET_|GENL_SET_ERR|dprintk|verbose$|bpf_log$|btf_verifier_log"
    r"|(?:btrfs|xfs|f2fs|drbd|rbd|nfs|fuse|nvme)_(?:emerg|alert|crit|err|warn|warning|notice|info|debug|dbg|log)\w*$"
    r"|(?:ext4|jbd2|fat|isofs)_(?:msg|warning|debug)|(?:info|warn|error)f$)"
    r"|(?:^|_)(?:INC|ADD|DEC|SUB|UPD)_?STATS?(?:_|$)|STATS?_(?:INC|ADD|DEC|SUB)|_MIB_"
    r"|^_*(?:count|inc|mod|add|dec)_\w*(?:event|stat|state)s?$|_stats?(?:_(?:inc|add|dec))?$|^_*count_"
    r"|^(?:psi|delayacct|task_io|workingset_age|vmstat)_"
)
_STATISTIC = re.compile(
    r"(?:^|[_.>])(?:stats?|nr_(?:hits|misses|scanned)|hits|misses|rejects?|\w*_rejected|events?|counters?)"
    r"(?:$|[_.\[])"
)
_KNOWN_BEFORE = re.compile(r"\b(?:IS_ENABLED|IS_BUILTIN|IS_REACHABLE|__builtin_\w+|sizeof|CONFIG_\w+)\b")
_RETRY = re.compile(r"retry|again|repeat|restart|redo")

# A function that orders, or may not be torn -> what is weaker. {0}, {1}: its arguments. None: it goes.
WEAKER: dict[str, str | None] = {
    **dict.fromkeys(("smp_mb", "smp_rmb", "smp_wmb", "mb", "rmb", "wmb"), "barrier()"),
    **dict.fromkeys(("smp_mb__before_atomic", "smp_mb__after_atomic", "smp_mb__after_spinlock"), "barrier()"),
    "barrier": None,
    "READ_ONCE": "({0})",
    "WRITE_ONCE": "({0}) = ({1})",
    "smp_load_acquire": "READ_ONCE(*({0}))",
    "smp_store_release": "WRITE_ONCE(*({0}), {1})",
    "smp_store_mb": "WRITE_ONCE({0}, {1})",
    "rcu_assign_pointer": "RCU_INIT_POINTER({0}, (typeof({0}))({1}))",
    "rcu_dereference": "rcu_dereference_raw({0})",
    "set_bit": "__set_bit({0}, {1})",
    "clear_bit": "__clear_bit({0}, {1})",
    "test_and_set_bit": "__test_and_set_bit({0}, {1})",
    "test_and_clear_bit": "__test_and_clear_bit({0}, {1})",
}
# One that keeps interrupts off -> the plain one; both take the lock as their first argument.
IRQ_PLAIN = {
    f"{kind}_{verb}{suffix}": f"{kind}_{verb}"
    for kind, verbs in (
        ("spin", ("lock", "unlock")),
        ("raw_spin", ("lock", "unlock")),
        ("read", ("lock", "unlock")),
        ("write", ("lock", "unlock")),
        ("xa", ("lock", "unlock")),
    )
    for verb in verbs
    for suffix in (("_irqsave", "_irq", "_bh") if verb == "lock" else ("_irqrestore", "_irq", "_bh"))
}
# Flags for those that must not sleep.
NO_SLEEP = frozenset({"GFP_ATOMIC", "GFP_NOWAIT"})
# An error -> one that callers treat in another way. For all others: EINVAL.
OTHER_ERROR = {
    "EINVAL": "EIO",
    "EAGAIN": "EBUSY",
    "EBUSY": "EAGAIN",
    "EEXIST": "ENOENT",
    "ENOENT": "EEXIST",
    "VM_FAULT_RETRY": "VM_FAULT_SIGBUS",
    "VM_FAULT_SIGBUS": "VM_FAULT_RETRY",
    "VM_FAULT_OOM": "VM_FAULT_SIGBUS",
    "VM_FAULT_MAJOR": "VM_FAULT_SIGBUS",
    "VM_FAULT_HWPOISON": "VM_FAULT_SIGBUS",
}
_ERROR = re.compile(r"E[A-Z][A-Z0-9]+")


def words(name: str) -> list[str]:
    return [word for word in name.lower().split("_") if word]


def _verbs(name: str) -> set[str]:
    """The words that say what a function does: `wake_up` takes no semaphore up."""
    found = words(name)
    moves = {"up", "down"} if found[:1] in (["up"], ["down"]) or found[-1:] in (["read"], ["write"]) else set()
    return set(found) - {"up", "down"} | moves & set(found)


def is_acquire(name: str) -> bool:
    return bool(_ACQUIRE & _verbs(name)) and not is_release(name) and words(name)[-1:] != ["init"]


def is_lock(name: str) -> bool:
    return "lock" in words(name)


def is_release(name: str) -> bool:
    return bool(_RELEASE & _verbs(name)) and not _NO_RELEASE.match(name)


def may_repeat(release: str) -> bool:
    """Whether a second release does no more than the first, and nobody could notice."""
    return _RELEASE & _verbs(release) <= _ONCE_IS_ALL


def ends(release: str, acquire: str) -> bool:
    """Whether the one function ends what the other began: unlike in the verb, and like in what it is done to."""
    one, other = words(release), words(acquire)
    verbs = [word for word in one if word in _ENDS and _ENDS[word] & set(other)]
    return any(set(one) - {verb} <= set(other) - _ENDS[verb] | {"irqrestore"} for verb in verbs)


def is_meaningless(name: str) -> bool:
    """Whether what a function does is only seen in logs and statistics."""
    return bool(_WITHOUT_MEANING.search(name))


def is_statistic(name: str) -> bool:
    """Whether a variable is one that only statistics show."""
    return bool(_STATISTIC.search(name))


def is_known_before(condition: str) -> bool:
    """Whether the compiler decides the condition: the code behind it may not exist otherwise."""
    return bool(_KNOWN_BEFORE.search(condition))


def is_retry(label: str) -> bool:
    return bool(_RETRY.search(label))


def other_error(name: str) -> str:
    """The error that takes the place of this one; "" where the name is none."""
    if name.startswith("VM_FAULT_"):
        return OTHER_ERROR.get(name, "")
    return OTHER_ERROR.get(name, "EINVAL") if _ERROR.fullmatch(name) else ""
