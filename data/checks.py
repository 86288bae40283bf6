"""What a sweep must not say, in one sentence."""

from optlaws_core.errors import OptLawsError


class SweepError(OptLawsError):
    """A sweep that cannot be run as declared."""


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raise `SweepError` unless the value is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SweepError(f"{name} must be a whole number of at least {least}, got {value!r}.")
