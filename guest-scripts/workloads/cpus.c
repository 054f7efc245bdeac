// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpus: CPUs go offline and come back while their caches are in use.
 *
 *   a switcher  takes one CPU after the other away, never the first, and brings it back; now and then it turns zswap on or off,
 *               so that some pages are compressed and others go to a device;
 *   cyclers     each go from CPU to CPU with an area of their own: they page it out, fault it in, check, rewrite and drop it. So
 *               each CPU has slots, compression buffers, LRU batches and charges of a cgroup to itself when it goes;
 *   a spawner   has children, one after the other, which make the kernel allocate memory that is charged to the cgroup.
 *
 * What a kernel loses with a CPU is a page, a slot or a charge: the pages, swapoff and the accounting tell.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "area.h"
#include "kernel-memory.h"
#include "paging.h"
#include "run.h"
#include "textfile.h"

#define ZSWAP "/sys/module/zswap/parameters/enabled"
#define ZSWAP_ONE_IN 4
#define CPUS_MAX 64
#define CYCLERS_MAX 8
#define FIRST_REGION 1
/* Pages that one step works on, at most. */
#define STEP_MOST 48
/* Of the switcher, in microseconds. */
#define OFF_LEAST 1000
#define OFF_MOST 40000
#define ON_LEAST 5000
#define ON_MOST 60000
/* A CPU may be busy with another change, or lack memory for its start: so often it is tried again. */
#define ON_TRIES 200

static uint64_t pages = 384;
static uint64_t cyclers = 3;

static const struct number_option options[] = {
	{ "pages", &pages },
	{ "cyclers", &cyclers },
	{ 0 },
};

static struct area areas[CYCLERS_MAX];
static unsigned int cpus[CPUS_MAX], cpus_count; /* those that can be switched */
static counter_t *offs, *refused, *paged_out, *dropped, *kernel_objects;

static void online_path(char *path, size_t size, unsigned int cpu)
{
	snprintf(path, size, "/sys/devices/system/cpu/cpu%u/online", cpu);
}

/* The first CPU has no such file on x86_64; elsewhere it has, and stays too: somebody must. */
static void find_cpus(void)
{
	char path[80];

	for (unsigned int cpu = 1; cpu < CPUS_MAX; cpu++) {
		online_path(path, sizeof(path), cpu);
		if (!access(path, W_OK))
			cpus[cpus_count++] = cpu;
	}
}

static void prepare(void)
{
	find_cpus();
	if (!cpus_count)
		run_missing("no CPU but the first can be switched off: this needs two CPUs and CONFIG_HOTPLUG_CPU");
}

static bool switched(unsigned int cpu, bool on)
{
	char path[80];

	online_path(path, sizeof(path), cpu);
	return put_text(path, on ? "1" : "0");
}

static void bring_back(unsigned int cpu)
{
	for (unsigned int i = 0; i < ON_TRIES; i++) {
		if (switched(cpu, true))
			return;
		if (errno != EBUSY && errno != ENOMEM && errno != EAGAIN)
			break;
		sleep_us(10000);
	}
	run_error("CPU online", errno);
}

static void turn_zswap(bool on)
{
	if (!access(ZSWAP, W_OK))
		run_set(ZSWAP, on ? "Y" : "N");
}

static void switcher(struct worker *worker)
{
	struct rng *rng = &worker->rng;

	while (!run_over()) {
		const unsigned int cpu = cpus[rng_below(rng, cpus_count)];

		if (rng_below(rng, ZSWAP_ONE_IN) == 0)
			turn_zswap(rng_below(rng, 2));
		if (switched(cpu, false)) {
			count(offs, 1);
			operations_add(1);
			sleep_us(rng_between(rng, OFF_LEAST, OFF_MOST));
			bring_back(cpu);
		} else if (errno == EBUSY) {
			count(refused, 1);
		} else {
			run_error("CPU offline", errno);
		}
		sleep_us(rng_between(rng, ON_LEAST, ON_MOST));
	}
	turn_zswap(false);
}

/* A CPU that is gone by now is refused, and the thread stays where it is. */
static void go_to_a_cpu(struct rng *rng)
{
	const uint64_t at = rng_below(rng, cpus_count + 1);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(at ? cpus[at - 1] : 0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void write_pages(struct area *area, size_t first, size_t number)
{
	for (size_t page = first; page < first + number; page++)
		area_write(area, page, 0);
}

static void check_pages(struct area *area, size_t first, size_t number, bool thorough)
{
	for (size_t page = first; page < first + number; page++)
		area_verify(area, page, thorough);
}

static void step(struct area *area, struct rng *rng)
{
	const size_t first = rng_below(rng, area->pages);
	const size_t most = area->pages - first;
	const size_t number = 1 + rng_below(rng, most < STEP_MOST ? most : STEP_MOST);

	switch (rng_below(rng, 8)) {
	case 0:
		area_drop(area, first, number);
		count(dropped, number);
		break;
	case 1:
	case 2:
		write_pages(area, first, number);
		break;
	case 3:
	case 4:
		check_pages(area, first, number, rng_below(rng, 4) == 0);
		break;
	default:
		page_out(area_page(area, first), number * PAGE);
		count(paged_out, number);
	}
	operations_add(1);
}

static void cycler(struct worker *worker)
{
	struct area *const area = &areas[worker->index];

	while (!run_over()) {
		go_to_a_cpu(&worker->rng);
		for (unsigned int i = 0; i < 8 && !run_over(); i++)
			step(area, &worker->rng);
		sleep_us(rng_below(&worker->rng, 500));
	}
}

static void use_kernel_memory(void *argument)
{
	const unsigned int *const when = argument;
	struct rng rng = rng_stream(run_seed(), 1000 + *when);

	go_to_a_cpu(&rng);
	count(kernel_objects, kernel_memory_use("", 0, *when, &rng));
}

static void spawner(void *argument)
{
	(void)argument;
	for (unsigned int when = 0; !run_over(); when++) {
		child_join(child_start(use_kernel_memory, &when));
		sleep_us(5000);
	}
}

static void setup(void)
{
	offs = counter("cpu_offs");
	refused = counter("cpu_offs_refused");
	paged_out = counter("paged_out");
	dropped = counter("dropped");
	kernel_objects = counter("kernel_objects");
	if (!cyclers || cyclers > CYCLERS_MAX)
		run_fail("--cyclers");
	if (!pages)
		run_fail("--pages");
	for (unsigned int i = 0; i < cyclers; i++) {
		area_new(&areas[i], AREA_SMALL, FIRST_REGION + i, pages, -1);
		write_pages(&areas[i], 0, pages);
	}
}

static void load(void)
{
	static struct threads threads;
	const int child = child_start(spawner, NULL);

	threads_add(&threads, cyclers, cycler, NULL);
	threads_add(&threads, 1, switcher, NULL);
	threads_join(&threads);
	child_join(child);
}

static void verify(void)
{
	for (unsigned int i = 0; i < cyclers; i++)
		area_verify_all(&areas[i]);
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.options = options,
		.prepare = prepare,
		.setup = setup,
		.load = load,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
