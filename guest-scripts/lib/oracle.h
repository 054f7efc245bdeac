/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each page of a range may hold, whatever has been done to it: the record that was written last (record.h), zeros, or
 * either of the two. Records move from page to page (UFFDIO_MOVE, mremap), so each page says whose it has.
 *
 * One owner changes a page at a time. Others may look at any time: they see from its ticket that it changed meanwhile, and
 * judge nothing.
 */
#ifndef PATCHRIG_ORACLE_H
#define PATCHRIG_ORACLE_H

#include "record.h"

enum holds {
	HOLDS_ZEROS, /* never written, dropped, or a hole */
	HOLDS_RECORD,
	HOLDS_EITHER, /* MADV_FREE: the record, until the kernel wants the page, and zeros from then on */
};

struct expected_page {
	_Atomic uint32_t ticket; /* odd while the page changes */
	_Atomic uint8_t holds;
	_Atomic uint32_t written; /* generations of this page's own records so far */
	/* The round (soft-dirty.h) in which its last change began, and the last one that gave it its record. */
	_Atomic uint32_t begun, changed;
	/* The record that it has or had last. */
	_Atomic uint64_t region, page, generation;
};

struct oracle {
	uint64_t region; /* of the records that are written here */
	size_t pages;
	struct expected_page *expected; /* locked and shared with children */
};

/* All zeros. */
struct oracle oracle_new(uint64_t region, size_t pages);
/* For a child that is forked next: what it has of the parent's pages. Its own records will be of `region`. */
void oracle_copy(struct oracle *to, const struct oracle *from, uint64_t region);

/* The owner's, around each change. */
void oracle_begin(struct oracle *oracle, size_t first, size_t count);
void oracle_end(struct oracle *oracle, size_t first, size_t count, enum holds holds);
/* What is to be written next; nothing is noted. */
struct identity oracle_next(const struct oracle *oracle, size_t page);
/* In place of oracle_end(): the next record is there, or that of another page, which the owner has begun to change as well. */
void oracle_end_written(struct oracle *oracle, size_t page);
void oracle_end_moved(struct oracle *to, size_t to_page, struct oracle *from, size_t from_page);
/* All of it: begin, write, end. */
void oracle_write(struct oracle *oracle, size_t page, void *memory, uint64_t writer);

enum holds oracle_holds(const struct oracle *oracle, size_t page);
/* A record, and one that is not all zeros: no page of zeros can stand for it. */
bool oracle_holds_data(const struct oracle *oracle, size_t page);
/* It has a record, which came in this round (soft-dirty.h). */
bool oracle_changed_in(const struct oracle *oracle, size_t page, uint32_t round);
/* The owner's look at the page where it is mapped; once a freed page has been seen as zeros it must stay so. */
bool oracle_verify(struct oracle *oracle, size_t page, const void *memory, bool thorough);
/* Somebody else's look at a copy: the ticket is taken before reading. */
uint32_t oracle_ticket(const struct oracle *oracle, size_t page);
enum look oracle_verify_copy(const struct oracle *oracle, size_t page, uint32_t ticket, const void *copy, bool thorough);

#endif
