"""Log-outs in a database of either kind: known to all who use it, once and for a while."""

from contextlib import closing

import pytest

from optlaws_core.saved.logouts import LogOuts


def test_what_one_server_ends_has_ended_on_another(place):
    with closing(LogOuts(place)) as one, closing(LogOuts(place)) as other:
        assert not other.has_ended("a" * 64)
        one.end("a" * 64, 60)
        other.end("a" * 64, 60)  # again, by a tab that knows nothing of it
        assert one.has_ended("a" * 64) and other.has_ended("a" * 64) and not other.has_ended("b" * 64)


@pytest.mark.parametrize("life, left", [(60, True), (-60, False)])
def test_what_nobody_would_take_any_more_is_forgotten(place, life, left):
    with closing(LogOuts(place)) as kept:
        kept.end("a" * 64, 60)
        kept.end("b" * 64, life)
        assert kept.has_ended("a" * 64) is left and kept.has_ended("b" * 64)
