# SPDX-License-Identifier: GPL-2.0-or-later
"""What a function works on, by its words."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kernel.partners.shared_state import (
    NOTHING_KNOWN,
    Names,
    State,
    functions_in,
    names_in,
    subject_of,
    touched_by,
    writes,
)

DEVICE = """
static DEFINE_SPINLOCK(avail_lock);
static atomic_long_t nr_pages_left = ATOMIC_LONG_INIT(0);

static void __init made_at_boot(struct device_info *si)
{
	si->flags |= DEV_USED;
}

static void take_off(struct device_info *si)
{
	spin_lock(&avail_lock); /* si->pages = 3; */
	si->flags &= ~DEV_WRITEOK;
	if (si->max == 3)
		atomic_long_sub(si->pages, &nr_pages_left);
	spin_unlock(&avail_lock);
}
"""


def test_members_flags_globals_and_helpers() -> None:
    (take_off,) = functions_in("mm/device.c", DEVICE, names_in([DEVICE]))

    assert take_off.name == "take_off"
    assert take_off.lines == 8
    assert {state for state, written in take_off.touched.items() if written} == {
        State("member", ".flags"),
        State("member", "device_info.flags"),
        State("flag", "DEV_WRITEOK"),
        State("global", "avail_lock"),
        State("global", "nr_pages_left"),
        State("helper", "spin"),
        State("helper", "atomiclong"),
        State("member", ".pages"),
        State("member", "device_info.pages"),
    }
    assert take_off.touched[State("member", "device_info.max")] is False
    # The head is a call of the function itself: what calls it shares it.
    assert State("call", "take_off") in take_off.touched


def test_a_variable_of_the_function_is_no_shared_state() -> None:
    code = "ret = DEV_FAULT; si->map[at] = DEV_CACHE; flags |= DEV_LOCAL; set_bit(DEV_BIT, &si->bits);"

    found = touched_by(code, types={"si": "device_info"})

    assert {state.name: written for state, written in found.items() if state.kind == "flag"} == {
        "DEV_FAULT": False,
        "DEV_CACHE": True,
        "DEV_LOCAL": False,
        "DEV_BIT": True,
    }


def test_helpers_of_one_state_have_one_subject() -> None:
    names = ("swap_cache_get_folio", "swapcache_prepare", "folio_test_swapcache", "swapcache_clear")

    assert {subject_of(name) for name in names} == {State("helper", "swapcache")}
    assert [writes(name) for name in names] == [False, True, False, True]
    assert subject_of("swap_entries_free") == subject_of("swap_entry_get") is not None
    assert subject_of("get_page") is None


def test_a_function_of_these_files_is_a_state_of_its_own() -> None:
    names = Names(functions=frozenset({"claim"}))

    assert State("call", "claim") in touched_by("claim(entry); kmalloc(3);", names=names)
    assert not any(state.kind == "call" for state in touched_by("claim(entry);", names=NOTHING_KNOWN))


@given(st.text(alphabet=st.sampled_from("/*\"'\\\n{}()->.=;& aAB_1")))
def test_any_text_is_read(text: str) -> None:
    names = names_in([text])

    list(functions_in("mm/x.c", text, names))
    touched_by(text, names=names)
