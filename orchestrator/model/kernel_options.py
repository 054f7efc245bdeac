# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel options that a user gives beside the flavours: `CONFIG_CMA=y`. Pure."""

import re
from collections.abc import Iterable

_OPTION = re.compile(r"(CONFIG_)?(?P<name>[A-Za-z0-9_]+)=(?P<value>.*)", re.DOTALL)
_VALUE = re.compile(r'[yn]|-?\d{1,19}|0x[0-9a-fA-F]{1,16}|"[^"\\\x00-\x1f]*"')


def option_of(text: str) -> tuple[str, str]:
    """Name (without CONFIG_) and value. Raises ValueError that says what is wrong."""
    found = _OPTION.fullmatch(text.strip())
    if not found:
        raise ValueError("must be like CONFIG_CMA=y or CONFIG_CMA=n")
    name, value = found["name"], found["value"]
    if value == "m":
        raise ValueError("these kernels load no modules: =y builds the code in")
    if not _VALUE.fullmatch(value):
        raise ValueError("the value must be y, n, a number, or text in double quotes: CONFIG_CMDLINE='\"...\"'")
    return name, value


def option_problem(text: str) -> str:
    """Why it is no option; "" where it is one."""
    try:
        option_of(text)
    except ValueError as why:
        return str(why)
    return ""


def joined_options(*lists: Iterable[str]) -> tuple[str, ...]:
    """The options of several lists, each once, with the value of the last list that has it."""
    values = dict(option_of(text) for options in lists for text in options)
    return tuple(f"CONFIG_{name}={value}" for name, value in values.items())


def options_in(options: Iterable[str]) -> dict[str, str]:
    """Name (without CONFIG_) to value."""
    return dict(map(option_of, options))
