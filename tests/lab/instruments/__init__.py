"""Two instruments that watch the lab independently of Holdfast: observer and traffic.

They import nothing of Holdfast, so that what they say about a roll can contradict what Holdfast says about it.
Both write JSON lines ordered by their own monotonic clock; no clock of a host is ever read.
"""
