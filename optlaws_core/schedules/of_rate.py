"""What a schedule says of itself that is another one, its rate, with something on top of it or beside it."""

from dataclasses import dataclass

from .base import Schedule


@dataclass(frozen=True)
class OfRate(Schedule):
    """A schedule with the length, the warm-up and the breaks of its `rate`, and its text. No family of its own."""

    rate: Schedule

    @property
    def peak(self) -> float:
        """That of the rate."""
        return self.rate.peak

    @property
    def total(self) -> int:
        """Updates."""
        return self.rate.total

    @property
    def warmup(self) -> int:
        """That of the rate."""
        return self.rate.warmup

    @property
    def warmup_end(self) -> int:
        """That of the rate."""
        return self.rate.warmup_end

    @property
    def warmup_shape(self) -> str:
        """That of the rate."""
        return self.rate.warmup_shape

    @property
    def last(self) -> Schedule:
        """The rate's part that can still be chosen."""
        return self.rate.last

    @property
    def beyond(self) -> str:
        """What the rate says."""
        return self.rate.beyond

    @property
    def breaks(self) -> tuple[int, ...]:
        """Those of the rate."""
        return self.rate.breaks

    @property
    def text(self) -> str:
        """The rate's."""
        return self.rate.text


__all__ = ["OfRate"]
