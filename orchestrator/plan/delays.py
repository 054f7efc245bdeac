# SPDX-License-Identifier: GPL-2.0-or-later
"""`--widen chance=2%,max=30ms,only=do_swap_page` as a value."""

import re
from collections.abc import Callable, Mapping

from orchestrator.host.errors import UserError
from orchestrator.model.blocks import DelaySettings
from orchestrator.plan.names import unknown

# Two cores under TCG: all workloads still come to their minimums, and docs/sensitivity.md says what was found.
DEFAULT = DelaySettings(chance_ppm=20_000, sleep_us=30_000, spin_us=1_000, hold_us=500_000)

_LONGEST_US = 10_000_000
_LONGEST_SPIN_US = 100_000
_ALL = 100
_NUMBER = r"(\d+(?:\.\d+)?)"
_TIMES = {"us": 1, "ms": 1_000, "s": 1_000_000}
_EXAMPLE = "chance=2%,max=30ms,spin=1ms,only=do_swap_page+mincore_swap"


def parse_delays(text: str, base: DelaySettings = DEFAULT) -> DelaySettings:
    """What is left out is as in `base`; "" is `base`. Raises UserError that names the key and what it allows."""
    given: dict[str, int | tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        key, equals, value = part.partition("=")
        if key not in _KEYS:
            raise UserError(f"widen: {unknown('key', key, _KEYS)}; for example {_EXAMPLE}")
        field, parse, allowed = _KEYS[key]
        try:
            parsed = parse(value) if equals else None
        except ValueError:
            parsed = None
        if parsed is None:
            raise UserError(f"widen: {key}={value}: must be {allowed}; for example {_EXAMPLE}")
        if field in given:
            raise UserError(f"widen: {key} is there twice; for example {_EXAMPLE}")
        given[field] = parsed
    whole = {field: getattr(base, field) for field, _, _ in _KEYS.values()}
    return DelaySettings(**(whole | given))


def delays_text(settings: DelaySettings) -> str:
    """The text that parse_delays() makes the same value of."""
    parts = [f"chance={settings.chance_ppm / 10_000:.4f}".rstrip("0").rstrip(".") + "%"]
    parts += [f"max={settings.sleep_us}us", f"spin={settings.spin_us}us", f"hold={settings.hold_us}us"]
    parts += [f"rest={settings.rest_percent}%", f"partners={settings.partner_percent}%"]
    return ",".join([*parts, *([f"only={'+'.join(settings.only)}"] if settings.only else [])])


def _chance(value: str) -> int | None:
    m = re.fullmatch(rf"{_NUMBER}%", value)
    return _whole(float(m[1]) * 10_000, 1_000_000) if m else None


def _whole(value: float, most: int) -> int | None:
    """The nearest whole number; nothing that would become 0, which switches something off, and is not."""
    number = round(value)
    return number if number <= most and (number > 0 or value == 0) else None


def _time(most: int) -> Callable[[str], int | None]:
    def parse(value: str) -> int | None:
        if value == "0":
            return 0
        m = re.fullmatch(rf"{_NUMBER}(us|ms|s)", value)
        return _whole(float(m[1]) * _TIMES[m[2]], most) if m else None

    return parse


def _rest(value: str) -> int | None:
    m = re.fullmatch(r"(\d{1,4})%", value)
    return int(m[1]) if m else None


def _partners(value: str) -> int | None:
    if value == "0":
        return 0
    m = re.fullmatch(r"(\d{1,3})%", value)
    return int(m[1]) if m and int(m[1]) <= _ALL else None


def _names(value: str) -> tuple[str, ...] | None:
    names = tuple(value.split("+"))
    return names if all(re.fullmatch(r"[A-Za-z_]\w*", name) for name in names) else None


_Parse = Callable[[str], int | tuple[str, ...] | None]
_KEYS: Mapping[str, tuple[str, _Parse, str]] = {
    "chance": ("chance_ppm", _chance, "a share from 0.0001% to 100%, or 0%"),
    "max": ("sleep_us", _time(_LONGEST_US), "a time from 1us to 10s (us, ms, s), or 0: the longest sleep"),
    "spin": ("spin_us", _time(_LONGEST_SPIN_US), "a time from 1us to 100ms, or 0: the longest busy wait"),
    "hold": ("hold_us", _time(_LONGEST_US), "a time from 1us to 10s, or 0: the longest wait for a swapoff"),
    "rest": ("rest_percent", _rest, "a share of the delay before it, from 0% to 9999%"),
    "partners": ("partner_percent", _partners, "a share of the chance elsewhere, from 0% to 100%, or 0"),
    "only": ("only", _names, "changed functions, joined by +"),
}
