# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel options beside those of the flavours: what they change, and what a kernel has of them."""

from pathlib import Path

from orchestrator.kernel.compile.asked import MoreOptions, config_hash
from orchestrator.kernel.compile.image_cache import image_key, store_image
from tests.unit.kernel.compile.image_samples import BUILD, HASHES, built


def test_options_are_part_of_the_identity_of_a_kernel_and_none_leave_it_as_it_is() -> None:
    asked = {"SWAP": "y"}
    hashes = {
        config_hash(asked),
        config_hash({**asked, "CMA": "y"}),
        config_hash(asked, wanted={"CMA": "y"}),
        config_hash(asked, added=("CMA",)),
    }

    assert len(hashes) == 4
    assert config_hash(asked, wanted={}) == config_hash(asked)


def test_an_image_says_which_of_the_options_it_has(tmp_path: Path) -> None:
    files = built(tmp_path)
    files.config.write_text("CONFIG_CMA=y\nCONFIG_CMA_AREAS=7\n")
    image = store_image(tmp_path / "cache", image_key(HASHES, "x86_64"), BUILD, built=files, hashes=HASHES)
    more = MoreOptions(by_hand={"CMA_AREAS": "7"}, wanted={"CMA": "y", "KSM": "y"})

    assert more.with_options(image).options == ("CONFIG_CMA=y", "CONFIG_CMA_AREAS=7")
    assert MoreOptions().with_options(image) == image


def test_a_kernel_without_the_series_is_not_asked_for_what_the_series_adds() -> None:
    more = MoreOptions(by_hand={"NEW": "y", "CMA": "y"}, wanted={"NEW": "y"})

    assert more.without(("NEW",)) == MoreOptions(by_hand={"CMA": "y"})
