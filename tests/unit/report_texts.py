# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that are written in pieces, as texts."""

from orchestrator.model.reports import RunReport
from orchestrator.report.junit import junit_pieces
from orchestrator.report.trace import trace_pieces


def junit_text(report: RunReport) -> str:
    return "".join(junit_pieces(report))


def trace_text(report: RunReport) -> str:
    return "".join(trace_pieces(report))
