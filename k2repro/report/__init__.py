"""The one-page report: self-contained, readable without JavaScript, every number linked to its row."""

from k2repro.report.page import render_report

__all__ = ["render_report"]
