"""Sums over a schedule's history and functionals of it."""
