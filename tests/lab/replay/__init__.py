"""The outage of 2015-08-12, replayed on the fleet lab: the same change on all hosts at once, and by Holdfast.

`__main__` runs it, `fleet_lab` reaches the lab, `ways` are the ways of putting a change into effect, `picture` draws.
"""
