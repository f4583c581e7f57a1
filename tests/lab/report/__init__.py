"""The lab's report: the product's report of runs, and the measurements of the observer and the traffic."""
