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
        *("exit", "drop", "unhold", "unreserve", "free", "unregister", "del", "delete", "dec"),
        *("destroy", "clear", "restore", "unprepare", "cancel", "unuse", "remove", "kill", "stop", "unfreeze"),
    }
)
# Words of the release side -> those of the acquiring side that they end.
_ENDS = {
    "put": {"get", "tryget", "grab", "ref", "hold"},
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
    "drop": {"grab", "hold"},
    "free": {"alloc"},
    "unfreeze": {"freeze"},
}
# Names that run words together -> the words.
_JOINED = {
    **{
        f"{short}{verb}": (what, verb)
        for short, what in (("mm", "mm"), ("mnt", "mnt"), ("i", "inode"), ("d", "dentry"), ("f", "file"))
        for verb in ("get", "put", "grab", "hold", "drop")
    },
    **dict.fromkeys(
        ("kmalloc", "kzalloc", "kcalloc", "kvmalloc", "kvzalloc", "kvcalloc", "vmalloc", "vzalloc"), ("alloc",)
    ),
    **dict.fromkeys(("kfree", "kvfree", "vfree"), ("free",)),
    "brelse": ("bh", "release"),
    "seqlock": ("seq", "lock"),
    "sequnlock": ("seq", "unlock"),
}
# Of these a second one changes nothing.
_ONCE_IS_ALL = frozenset({"clear", "cancel", "stop", "restore", "delete"})
_REPEATABLE = re.compile(r"_del_init(?:_|$)|^finish_wait$|^local_irq_enable$")
# They end in a word of a release and move data.
_NO_RELEASE = re.compile(r"^(?:__)?put_user$|^put_unaligned|^seq_put|^(?:set|clear)_bit$|^clear_(?:page|highpage)")
# They have a word of an acquire and take nothing: they wait, or read a value.
_NO_ACQUIRE = re.compile(
    r"^_*(?:wait_|lru_add_drain|add_taint|get_user|get_unaligned|get_cycles|get_random)|_init$|_get_(?:lockless|mark|private)"
    r"|^(?:huge_)?p(?:te|md|ud|4d|gd)p_get(?:_|$)|^(?:atomic|refcount)\w*_add_unless$"
)
# Messages, assertions, trace points and statistics: a kernel without them is as good.
_WITHOUT_MEANING = re.compile(
    r"^_?(?:printk|pr_|dev_(?:dbg|info|warn|err|notice)|netdev_(?:dbg|info|warn|err)|net_\w*ratelimited|seq_p|sysfs_emit"
    r"|WARN|BUG|VM_WARN|VM_BUG|BUILD_BUG|DEBUG_|dump_|lockdep_|might_|trace_|static_assert|kmemleak_|kasan_|kcsan_"
    r"|kmsan_|instrument_|data_race|ASSERT|debug_|NL_SET_|GENL_SET_ERR|dprintk|verbose$|bpf_log$|btf_verifier_log"
    r"|(?:btrfs|xfs|f2fs|drbd|rbd|nfs|fuse|nvme)_(?:emerg|alert|crit|err|warn|warning|notice|info|debug|dbg|log)\w*$"
    r"|(?:ext4|jbd2|fat|isofs)_(?:msg|warning|debug)|(?:info|warn|error)f$)"
    r"|(?:^|_)(?:INC|ADD|DEC|SUB|UPD)_?STATS?(?:_|$)|STATS?_(?:INC|ADD|DEC|SUB)|_MIB_"
    r"|(?:^|_)stat_(?:mod|add|sub)_|^_*(?:count|inc|mod|add|dec)_\w*(?:event|stat|state)s?$|_stats?(?:_(?:inc|add|dec))?$|^_*count_"
    r"|^(?:psi|delayacct|task_io|workingset_age|vmstat)_"
)
_STATISTIC = re.compile(
    r"(?:^|[_.>])(?:stats?|nr_(?:hits|misses|scanned)|hits|misses|rejects?|\w*_rejected|events?|counters?)"
    r"(?:$|[_.\[])"
)
_COUNTS = re.compile(
    r"_*(?:raw_)?(?:atomic(?:64|_long)?|this_cpu|percpu_counter|local)_(?:inc|dec|add|sub)(?:_batch|_relaxed)?$"
)
_KNOWN_BEFORE = re.compile(r"\b(?:IS_ENABLED|IS_BUILTIN|IS_REACHABLE|__builtin_\w+|CONFIG_\w+)\b")
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
    "rcu_dereference": "({0})",
    "set_bit": "__set_bit({0}, {1})",
    "clear_bit": "__clear_bit({0}, {1})",
    "test_and_set_bit": "__test_and_set_bit({0}, {1})",
    "test_and_clear_bit": "__test_and_clear_bit({0}, {1})",
}
# Of these, what stores a value, and what changes a bit.
STORES = frozenset({"WRITE_ONCE", "smp_store_release", "smp_store_mb", "rcu_assign_pointer"})
BITS = frozenset({"set_bit", "clear_bit", "test_and_set_bit", "test_and_clear_bit"})
# What frees after a grace period -> what frees at once.
AT_ONCE = {
    "kfree_rcu": "kfree({0});",
    "kvfree_rcu": "kvfree({0});",
    "call_rcu": "{1}({0});",
    "call_rcu_hurry": "{1}({0});",
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
        ("read", ("seqlock_excl", "sequnlock_excl")),
        ("write", ("seqlock", "sequnlock")),
    )
    for verb in verbs
    for suffix in (("_irqrestore", "_irq", "_bh") if "unlock" in verb else ("_irqsave", "_irq", "_bh"))
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
    return [word for part in name.lower().split("_") if part for word in _JOINED.get(part, (part,))]


def _verbs(name: str) -> set[str]:
    """The words that say what a function does: `wake_up` takes no semaphore up."""
    found = words(name)
    moves = {"up", "down"} if found[:1] in (["up"], ["down"]) or found[-1:] in (["read"], ["write"]) else set()
    return set(found) - {"up", "down"} | moves & set(found)


def is_acquire(name: str) -> bool:
    takes = bool(_ACQUIRE & _verbs(name)) and not _NO_ACQUIRE.search(name)
    return takes and name not in WEAKER and not is_release(name)


def is_lock(name: str) -> bool:
    return "lock" in words(name) and not _NO_ACQUIRE.search(name)


def is_release(name: str) -> bool:
    return bool(_RELEASE & _verbs(name)) and name not in WEAKER and not _NO_RELEASE.match(name)


def may_repeat(release: str) -> bool:
    """Whether a second release does no more than the first, and nobody could notice."""
    return _RELEASE & _verbs(release) <= _ONCE_IS_ALL or bool(_REPEATABLE.search(release))


def ends(release: str, acquire: str) -> bool:
    """Whether the one function ends what the other began: unlike in the verb, and like in what it is done to."""
    one, other = words(release), words(acquire)
    verbs = [word for word in one if word in _ENDS and _ENDS[word] & set(other)]
    return any(set(one) - {verb} <= set(other) - _ENDS[verb] | {"irqrestore"} for verb in verbs)


def is_meaningless(name: str) -> bool:
    """Whether what a function does is only seen in logs and statistics."""
    return bool(_WITHOUT_MEANING.search(name))


def is_counted(name: str) -> bool:
    """Whether a function adds to a variable: it is a statistic if the variable is one."""
    return bool(_COUNTS.match(name))


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
