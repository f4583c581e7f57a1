"""What happened in a run, afterwards: figures, a table and a picture."""

from holdfast.report.measurements import Carried, Observations, build
from holdfast.report.model import Report
from holdfast.report.timeline_svg import timeline_svg

__all__ = ["Carried", "Observations", "Report", "build", "timeline_svg"]
