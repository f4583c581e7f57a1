"""Runs from chat on the lab: a homeserver on loopback, people, rooms, the bot; and a small client for a terminal.

What a house holds is said by tests/chat/servers/house.py. It is kept in the lab's directory and goes with the lab.
"""
