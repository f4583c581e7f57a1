"""The lab's report: the product's report of some runs, and what the observer and the traffic saw."""
