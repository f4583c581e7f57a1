"""Two programs that measure the lab independently of Holdfast: the observer and the traffic.

They import nothing of Holdfast, so that what they measure during a roll can contradict what Holdfast reports of it.
Both write JSON lines ordered by their own monotonic clock; the clocks of hosts are never read.
"""
