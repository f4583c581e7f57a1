"""Runs from chat: asked, followed, approved and stopped in the channel where the incident is handled.

Owns chat's words, permissions and places. Everything it knows of a run it reads from the journal;
everything it wants of one it asks of the engine, which does not know that chat exists.
"""
