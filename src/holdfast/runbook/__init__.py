"""Runbooks: Markdown that a person can read in a browser and Holdfast can run.

``parser.parse_runbook`` turns text into frozen values, or raises an error with file and line; it knows
nothing of hosts or plays. The format (docs/writing-runbooks.md):

1. Front matter between ``---`` lines: ``name``, ``summary``, ``inputs``, ``leases``, ``approvals``.
2. Steps: ``## 1. Title``, prose that says why, and one fenced block tagged ``step`` that is a
   ``check``, a ``roll``, an ``approve`` or a ``wait``. Numbered from 1 without gaps.
3. Last, ``## If it holds``: prose that says what to look at.

Inside a block, a value that is exactly ``$name`` is replaced by the input of that name, as a typed
value; it never becomes part of a text or a template.
"""
