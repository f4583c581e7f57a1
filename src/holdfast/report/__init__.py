"""What happened in a run, afterwards: figures, a table and a picture."""

from holdfast.report.measure import Carried, Observations, build
from holdfast.report.model import Report
from holdfast.report.picture import picture

__all__ = ["Carried", "Observations", "Report", "build", "picture"]
