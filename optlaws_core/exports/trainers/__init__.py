"""Trainers, one module each: all that is known of it, what its options do, and how a schedule is written for it."""
