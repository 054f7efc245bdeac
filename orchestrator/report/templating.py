# SPDX-License-Identifier: GPL-2.0-or-later
"""The templates beside the code: HTML and SVG with every value in them escaped. The only importer of jinja2."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.report.junit_document import valid_xml


def render(template: str, **values: object) -> str:
    """The text of a template with its values; one that is missing is an error."""
    return _templates().get_template(template).render(values)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    # What has __html__ is made by a macro, of values that came through here.
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return valid_xml(value)
