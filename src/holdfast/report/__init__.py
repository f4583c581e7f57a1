"""How runs, plans and leases are described to people: sentences, tables, progress, a timeline."""

from holdfast.report.builder import build_report
from holdfast.report.model import Report
from holdfast.report.timeline_svg import timeline_svg

__all__ = ["Report", "build_report", "timeline_svg"]
