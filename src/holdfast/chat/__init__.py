"""Runs from chat: asked for, followed, approved and stopped in the channel where the incident is handled.

Owns chat's commands, permissions and messages. It reads runs from the journal and changes them through the
engine, which does not know that chat exists.
"""
