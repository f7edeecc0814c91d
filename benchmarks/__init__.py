"""Timings of the package against the textbook form and against what a user would pick instead.

Run by ``tools/bench.py``; no part of the wheel.
"""
