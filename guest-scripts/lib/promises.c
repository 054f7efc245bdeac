// SPDX-License-Identifier: GPL-2.0-or-later
/* What a program may rely on when it makes a call, and who says so: an error of the kernel's breaks one of these. */
#include <string.h>

#include "shared.h"

struct promise {
	const char *call; /* or how its name begins */
	const char *text;
};

static const struct promise PROMISES[] = {
	{ "MADV_", "madvise(2): none of the reasons that it gives for this errno holds" },
	{ "process_madvise", "process_madvise(2): none of the reasons that it gives for this errno holds" },
	{ "mincore", "mincore(2): none of the reasons that it gives for this errno holds" },
	{ "mlock", "mlock(2): none of the reasons that it gives for this errno holds" },
	{ "munlock", "munlock(2): none of the reasons that it gives for this errno holds" },
	{ "mprotect", "mprotect(2): none of the reasons that it gives for this errno holds" },
	{ "mremap", "mremap(2): none of the reasons that it gives for this errno holds" },
	{ "munmap", "munmap(2): none of the reasons that it gives for this errno holds" },
	{ "pread", "POSIX.1, read(): data that is in the file, on a device without an error, can be read" },
	{ "pwrite", "POSIX.1, write(): a file below its size limit can be written while there is memory" },
	{ "fallocate", "fallocate(2): none of the reasons that it gives for this errno holds" },
	{ "FALLOC_FL_PUNCH_HOLE", "fallocate(2): none of the reasons that it gives for this errno holds" },
	{ "ftruncate", "truncate(2): none of the reasons that it gives for this errno holds" },
	{ "vmsplice or splice", "vmsplice(2), splice(2): none of the reasons that they give for this errno holds" },
	{ "read of a pipe", "pipe(7): what was written to a pipe can be read from it" },
	{ "pwrite of /proc/self/mem", "proc_pid_mem(5): a page that is mapped and may be written can be accessed" },
	{ "process_vm_", "process_vm_readv(2): EFAULT is for memory that is not there, no other reason holds" },
	{ "UFFDIO_MOVE", "ioctl_userfaultfd(2), UFFDIO_MOVE: EBUSY is for a page that is pinned or not exclusive, EEXIST for a "
			 "target that is mapped, ENOENT for a hole in the source; none is so" },
	{ "UFFDIO_COPY", "ioctl_userfaultfd(2), UFFDIO_COPY: none of the reasons that it gives for this errno holds" },
	{ "UFFDIO_POISON", "ioctl_userfaultfd(2), UFFDIO_POISON: none of the reasons that it gives for this errno holds" },
	{ "UFFDIO_ZEROPAGE", "ioctl_userfaultfd(2), UFFDIO_ZEROPAGE: none of the reasons that it gives for this errno holds" },
	{ "UFFDIO_WRITEPROTECT", "ioctl_userfaultfd(2), UFFDIO_WRITEPROTECT: none of the reasons that it gives for this errno holds" },
	{ "UFFDIO_CONTINUE", "ioctl_userfaultfd(2), UFFDIO_CONTINUE: none of the reasons that it gives for this errno holds" },
	{ "UFFDIO_UNREGISTER", "ioctl_userfaultfd(2), UFFDIO_UNREGISTER: none of the reasons that it gives for this errno holds" },
	{ "UFFDIO_REGISTER", "ioctl_userfaultfd(2), UFFDIO_REGISTER: none of the reasons that it gives for this errno holds" },
	{ "process_mrelease", "process_mrelease(2): none of the reasons that it gives for this errno holds" },
	{ "pidfd_open", "pidfd_open(2): a child that nobody has waited for can be opened" },
	{ "open of a file of a tmpfs", "open(2), tmpfs(5): there are inodes left" },
	{ "stat of a file of a tmpfs", "stat(2): the file has this name" },
	{ "linkat", "open(2), O_TMPFILE: linkat() gives the file a name" },
	{ "rename", "rename(2): none of the reasons that it gives for this errno holds" },
	{ "symlink", "symlink(2): none of the reasons that it gives for this errno holds" },
	{ "readlink", "readlink(2): none of the reasons that it gives for this errno holds" },
	{ "unlink", "unlink(2): none of the reasons that it gives for this errno holds" },
	{ "shmctl", "shmctl(2): none of the reasons that it gives for this errno holds" },
	{ "write to /proc/self/clear_refs", "proc_pid_clear_refs(5): it can be written by its process" },
	{ "userfaultfd", "userfaultfd(2): none of the reasons that it gives for this errno holds" },
	{ "swapon by two", "swapon(2): one of two callers has it, and for the other it is in use: EBUSY" },
	{ "swapoff by two", "swapoff(2): one of two callers has swapped it off, and for the other it is no swap area any more: EINVAL" },
	{ "swapon of what", "swapon(2): EINVAL is for what is no swap area, EBUSY for one that is in use" },
	{ "swapoff of what", "swapoff(2): EINVAL is for what is not in use as a swap area" },
	{ "swapon", "swapon(2): a device that swapoff() has given back can be had again" },
	{ "swapoff", "swapoff(2): ENOMEM is for a system without memory, EINVAL for what is no swap area; neither is so" },
	{ "SIGBUS", "mmap(2), sigaction(2): memory that is mapped and was written can be read" },
	{ "SIGSEGV", "mmap(2), sigaction(2): memory that is mapped and was written can be read" },
	{ "a read of memory", "mmap(2), sigaction(2): memory whose device had no error can be read" },
	{ "a write to memory", "mmap(2), sigaction(2): memory whose device had no error can be written" },
	{ "fork", "fork(2): none of the reasons that it gives for this errno holds" },
	{ "mkdir of a cgroup", "cgroup-v2.rst, mkdir(2): none of the reasons for this errno holds" },
	{ "rmdir of an empty cgroup", "cgroup-v2.rst: a cgroup without children and live processes can be removed" },
	{ "memory.reclaim: what was written", "cgroup-v2.rst, memory.reclaim: EAGAIN is for fewer bytes than were asked for; else as many are gone" },
	{ "memory.max: usage", "cgroup-v2.rst, memory.max: the hard limit of usage, over which it may go temporarily only" },
	{ "memory.max: the OOM killer", "cgroup-v2.rst, memory.max: if usage reaches the limit and can't be reduced, the OOM killer is invoked in the cgroup" },
	{ "memory.high: usage", "cgroup-v2.rst, memory.high: a write reclaims at once (but with O_NONBLOCK), and who goes over it is put under heavy reclaim pressure" },
	{ "memory.events: ", "cgroup-v2.rst, memory.events: how often usage went over this limit, or was about to, in the cgroup and those below it" },
	{ "memory.swap.max: usage", "cgroup-v2.rst, memory.swap.max: the hard limit of swap; at it, anonymous memory is not swapped out" },
	{ "memory.min: what is protected", "cgroup-v2.rst, memory.min: memory within it is not reclaimed under any conditions" },
	{ "memory.current: ", "cgroup-v2.rst, memory.current: memory in use by the cgroup and its descendants" },
	{ "memory.peak: ", "cgroup-v2.rst, memory.peak: the most memory that was in use since the cgroup was made" },
	{ "memory.stat: anon", "cgroup-v2.rst, memory.stat: anon is what is used in anonymous mappings" },
	{ "memory.swap.current: swapped pages", "cgroup-v2.rst, memory.swap.current: swap in use by the cgroup and its descendants" },
	{ "memory.swap.current", "cgroup-v2.rst: swap in use, which memory.swap.max limits; a new cgroup has none" },
	{ "memory.zswap.current", "cgroup-v2.rst: memory that zswap uses for it; a new cgroup has none" },
	{ "memory.current", "cgroup-v2.rst: memory in use by the cgroup and its descendants; a new one has none" },
	{ "memory.usage_in_bytes", "cgroup-v1/memory.rst: memory in use; a new cgroup has none" },
	{ "memory.peak", "cgroup-v2.rst: the file can be read after it was reset" },
	{ "nr_dying_descendants", "cgroup-v2.rst: a removed cgroup stays for some time before it is completely destroyed; nothing of it is in use" },
	{ "memory.zswap.writeback", "cgroup-v2.rst: with 0, nothing is swapped to a device; this is hierarchical, a parent's 0 holds for its children" },
	{ "memory.", "cgroup-v2.rst: a new cgroup has the default, and what is written, rounded to pages, is what is read" },
	{ "CPU online", "core-api/cpu_hotplug.rst: a CPU that was logically shut down comes back when 1 is written to its file" },
	{ "CPU offline", "core-api/cpu_hotplug.rst: a CPU but the first is shut down when 0 is written to its file; EBUSY is while that is disabled" },
	{ "SIGKILL", "cgroup-v2.rst, memory.events: oom_kill counts each process that the OOM killer has killed" },
	{ "set_mempolicy", "set_mempolicy(2): none of the reasons that it gives for this errno holds; with MPOL_BIND new memory is on these "
			   "nodes only; MPOL_DEFAULT with nodes, and MPOL_BIND without, are EINVAL" },
	{ "get_mempolicy", "get_mempolicy(2): mode and nodes are those that were set" },
	{ "mbind", "mbind(2): none of the reasons that it gives for this errno holds; after MPOL_MF_MOVE and MPOL_MF_STRICT without EIO all "
		   "pages of the range follow the policy" },
	{ "read of ", "include/linux/errno.h: errors from 512 on, and numbers that are none, are never seen by programs; read(2): EFAULT is for "
		      "memory that is not there, and no more is read than was asked for" },
	{ "write to memory.max", "cgroup-v2.rst: a write sets the limit; where usage is above it and can't be reduced, the OOM killer is invoked; "
				 "nothing is to be done for a limit that is no longer set" },
	{ "write to ", "include/linux/errno.h: errors from 512 on, and numbers that are none, are never seen by programs; write(2): EFAULT is for "
		       "memory that is not there, and no more is written than was given" },
	{ "text of ", "sysfs.rst, cgroup-v2.rst: the files are text" },
	{ "/proc/sys/", "proc_sys(5): the file is a variable of the kernel, which can be read and modified; what was written is what is read" },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/", "transhuge.rst: the file sets the number; what was written is what is read" },
	{ "/sys/module/", "kernel-parameters.rst: the parameter can be changed at run time by its file; what was written is what is read" },
	{ "zswap writeback", "cgroup-v2.rst, zswpwb: the number of pages that zswap wrote to swap" },
};

const char *promise_of(const char *call)
{
	for (size_t i = 0; i < sizeof(PROMISES) / sizeof(PROMISES[0]); i++)
		if (!strncmp(PROMISES[i].call, call, strlen(PROMISES[i].call)))
			return PROMISES[i].text;
	return "";
}
