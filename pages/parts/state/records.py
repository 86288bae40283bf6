"""What records of a visitor's state have in common."""

from dataclasses import MISSING, fields


def reset(record: object, part: type) -> None:
    """Give the fields that the dataclass `part` declares, and that `record` has, their defaults again."""
    for f in fields(part):
        setattr(record, f.name, f.default if f.default_factory is MISSING else f.default_factory())
