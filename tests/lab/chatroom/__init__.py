"""Runs from chat on the lab: a homeserver on loopback, people, rooms, the bot; and a small client for a terminal.

The homeserver, its people and rooms: tests/chat/servers/matrix_environment.py. They are saved in the
lab's directory and go with the lab.
"""
