/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands for the kernel's headers when an overlay's file is compiled on the host: as much of them as it uses. What a task is and may do,
 * and what time it is, is what the test says; time goes on when somebody sleeps, waits or spins.
 */
#ifndef PATCHRIG_TESTS_FAKE_LINUX_H
#define PATCHRIG_TESTS_FAKE_LINUX_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef uint16_t u16;
typedef uint32_t u32;
#define U32_MAX UINT32_MAX
typedef uint64_t u64;
typedef int64_t s64;

#define __user
#define __init
#define notrace
#define noinline __attribute__((noinline))
#define CONFIG_X86 1
#define CONFIG_DEBUG_ATOMIC_SLEEP 1
#define EXPORT_SYMBOL(name) extern int exported_##name
#define late_initcall(function) extern int called_late_##function
#define THIS_MODULE NULL

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#define cmpxchg(place, old, new) __sync_val_compare_and_swap(place, old, new)
#define smp_store_release(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#define ilog2(n) (31 - __builtin_clz(n))
#define NSEC_PER_USEC 1000L

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

#define atomic_read(v) READ_ONCE((v)->counter)
#define atomic_set(v, value) WRITE_ONCE((v)->counter, value)
#define atomic_inc(v) ((void)__sync_add_and_fetch(&(v)->counter, 1))
#define atomic_dec(v) ((void)__sync_sub_and_fetch(&(v)->counter, 1))
#define atomic_dec_return(v) __sync_sub_and_fetch(&(v)->counter, 1)
#define atomic_cmpxchg(v, old, new) __sync_val_compare_and_swap(&(v)->counter, old, new)
#define atomic64_read(v) READ_ONCE((v)->counter)
#define atomic64_inc(v) ((void)__sync_add_and_fetch(&(v)->counter, 1))

/* linux/hash.h */
static inline u32 hash_32(u32 value, unsigned int bits)
{
	return value * 0x61C88647u >> (32 - bits);
}

/* The task, and what it may do. */
struct task_struct {
	int pid;
	unsigned int flags, __state;
	int non_block_count;
	bool is_idle, oom_origin;
	int syscall;
};

#define PF_KTHREAD 0x00200000u
#define TASK_RUNNING 0u
#define TASK_IDLE 0x402u
#define __NR_swapoff 168

struct pt_regs;

static struct task_struct *current;
static enum { SYSTEM_BOOTING, SYSTEM_RUNNING } system_state = SYSTEM_RUNNING;
static bool fake_irqs_disabled, fake_in_interrupt, fake_not_preemptible;
static int fake_rcu_depth;

#define task_pt_regs(task) NULL
#define syscall_get_nr(task, regs) ((task)->syscall)
#define oom_task_origin(task) ((task)->oom_origin)
#define is_idle_task(task) ((task)->is_idle)
#define irqs_disabled() fake_irqs_disabled
#define in_task() (!fake_in_interrupt)
#define preemptible() (!fake_not_preemptible && !fake_irqs_disabled)
#define rcu_preempt_depth() fake_rcu_depth

/* Time. What somebody else does meanwhile is the test's `meanwhile`. */
static u64 fake_now = 1000000000;
static void (*meanwhile)(void);
static u64 slept_us, sleeps_seen, waits_seen, halts_seen, relaxes_seen;

static inline void time_goes_on(u64 ns)
{
	fake_now += ns;
	if (meanwhile)
		meanwhile();
}

#define ktime_get_mono_fast_ns() fake_now
#define msecs_to_jiffies(ms) (ms)
#define cpu_relax() (relaxes_seen++, time_goes_on(1000))
#define usleep_range_state(low, high, state) (sleeps_seen++, slept_us = (low), time_goes_on((low) * 1000ull))
#define wait_event_idle_timeout(queue, condition, jiffies) \
	((condition) ? (void)0 : (waits_seen++, time_goes_on((jiffies) * 1000000ull)))
#define local_irq_disable() ((void)0)
#define local_irq_enable() ((void)0)
#define safe_halt() (halts_seen++, time_goes_on(4000000))
#define preempt_disable() ((void)0)
#define preempt_enable() ((void)0)
#define set_tsk_need_resched(task) ((void)(task))
#define set_preempt_need_resched() ((void)0)

#define DECLARE_WAIT_QUEUE_HEAD(name) int name
static unsigned int wakes_seen;
#define wake_up_all(queue) ((void)(queue), wakes_seen++)

struct static_key {
	bool on;
};
#define DEFINE_STATIC_KEY_FALSE(name) struct static_key name
#define DEFINE_STATIC_KEY_TRUE(name) struct static_key name = { true }
#define static_branch_unlikely(key) ((key)->on)
#define static_key_enabled(key) ((key)->on)
#define static_branch_enable(key) ((key)->on = true)
#define static_branch_disable(key) ((key)->on = false)

static int locks_held;
#define DEFINE_MUTEX(name) int name
#define mutex_lock(mutex) ((void)(mutex), locks_held++)
#define mutex_unlock(mutex) ((void)(mutex), locks_held--)

#define user_access_save() 0ul
#define user_access_restore(flags) ((void)(flags))
static const char _stext[1];
#define FAKE_TEXT_BYTES 1024ul
#define _etext (_stext + FAKE_TEXT_BYTES)
static unsigned long fake_return_address;
#define _RET_IP_ fake_return_address

/* linux/bitops.h */
#define BITS_PER_LONG (8 * sizeof(long))
#define BITS_TO_LONGS(bits) (((bits) + BITS_PER_LONG - 1) / BITS_PER_LONG)

static inline bool test_bit(unsigned long bit, const unsigned long *map)
{
	return map[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & 1;
}

static inline void set_bit(unsigned long bit, unsigned long *map)
{
	map[bit / BITS_PER_LONG] |= 1ul << bit % BITS_PER_LONG;
}

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long bits, unsigned long from)
{
	while (from < bits && !test_bit(from, map))
		from++;
	return from;
}

/* Memory and texts. */
#define vcalloc(number, size) calloc(number, size)
#define kfree(place) free(place)
#define IS_ERR(place) ((place) == NULL)
#define PTR_ERR(place) (-ENOMEM)
#define KSYM_NAME_LEN 512
/* Allocations of names that succeed before one fails. */
static unsigned int names_until_failure = UINT_MAX;
#define kstrdup(text, flags) (names_until_failure && names_until_failure-- ? strdup(text) : NULL)

static inline char *memdup_user_nul(const char *from, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, from, size);
	text[size] = 0;
	return text;
}

static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	const size_t needed = (size_t)snprintf(to, size, "%s", from);

	return needed < size ? (ssize_t)needed : -E2BIG;
}

static inline int kstrtou32(const char *text, unsigned int base, u32 *value)
{
	unsigned long long whole;
	char *end;

	errno = 0;
	whole = strtoull(text, &end, (int)base);
	if (end == text || *end || *text == '-' || *text == ' ')
		return -EINVAL;
	if (errno || whole > UINT32_MAX)
		return -ERANGE;
	*value = (u32)whole;
	return 0;
}

static inline char *strim(char *text)
{
	size_t size;

	while (*text == ' ' || *text == '\n')
		text++;
	for (size = strlen(text); size && (text[size - 1] == ' ' || text[size - 1] == '\n'); size--)
		text[size - 1] = 0;
	return text;
}

/* Files. */
struct inode;
struct dentry;

struct file {
	void *private_data;
};

struct seq_file {
	void *private;
	char text[4096];
};

struct seq_operations {
	void *(*start)(struct seq_file *, loff_t *);
	void *(*next)(struct seq_file *, void *, loff_t *);
	void (*stop)(struct seq_file *, void *);
	int (*show)(struct seq_file *, void *);
};

struct file_operations {
	void *owner;
	int (*open)(struct inode *, struct file *);
	ssize_t (*read)(struct file *);
	ssize_t (*write)(struct file *, const char *, size_t, loff_t *);
	loff_t (*llseek)(struct file *);
	int (*release)(struct inode *, struct file *);
};

#define seq_read NULL
#define seq_lseek NULL
#define seq_release_private NULL
#define simple_open NULL
#define nonseekable_open(inode, file) ((void)(inode), (void)(file), 0)

static inline void seq_printf(struct seq_file *seq, const char *format, ...)
{
	const size_t used = strlen(seq->text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(seq->text + used, sizeof(seq->text) - used, format, arguments);
	va_end(arguments);
}

static inline int seq_open_private(struct file *file, const struct seq_operations *operations, int size)
{
	struct seq_file *seq = calloc(1, sizeof(*seq));

	(void)operations;
	seq->private = calloc(1, (size_t)size);
	file->private_data = seq;
	return 0;
}

struct attribute {
	int (*get)(void *, u64 *);
	int (*set)(void *, u64);
};

#define DEFINE_SEQ_ATTRIBUTE(name) static const struct seq_operations *const name##_fops = &name##_sops
#define DEFINE_SHOW_ATTRIBUTE(name) static int (*const name##_fops)(struct seq_file *, void *) = name##_show
#define DEFINE_DEBUGFS_ATTRIBUTE(name, get, set, format) static const struct attribute name = { get, set }
#define debugfs_create_dir(name, parent) NULL
#define debugfs_create_file(name, mode, folder, data, operations) ((void)(folder), (void)(operations))
#define debugfs_create_u32(name, mode, folder, place) ((void)(place))
#define debugfs_create_u64(name, mode, folder, place) ((void)(place))
#define debugfs_create_bool(name, mode, folder, place) ((void)(place))

/* The kernel's log: its last message, and how many there were. */
static char fake_said[256];
static unsigned int messages_seen;
#define pr_info(...) (messages_seen++, (void)snprintf(fake_said, sizeof(fake_said), __VA_ARGS__))
#define is_power_of_2(n) ((n) != 0 && ((n) & ((n)-1)) == 0)

/* Probes. */
struct kprobe {
	const char *symbol_name;
	int (*pre_handler)(struct kprobe *, struct pt_regs *);
};

static int register_kprobe_returns;
#define register_kprobe(probe) ((void)(probe), register_kprobe_returns)

struct irq_work {
	void (*function)(struct irq_work *);
};
#define DEFINE_IRQ_WORK(name, function) struct irq_work name = { function }
#define irq_work_queue(work) ((work)->function(work))

#endif
