"""The queue of work: shares are fair to visitors, a long piece holds up nobody, and closed tabs lose theirs."""

import threading
from itertools import count

import pytest

from pages.parts.server import turns
from pages.parts.server.turns import AWAY, LONG, Turn, Turns, Wait

PATIENCE = 60  # seconds on a busy machine


class Desk:
    """A queue under a clock that stands, and pieces of work that go on until they are told to end."""

    def __init__(self, places: int, most: int = 99, own: int = 2) -> None:
        self.now, self.ticks, self.begun, self.lost, self.away = 0.0, count(), [], [], set()
        self.ends: dict[str, threading.Event] = {}
        self.began: dict[str, threading.Event] = {}
        self.queue = Turns(places, most, own, clock=lambda: self.now + 1e-6 * next(self.ticks))

    def join(self, *names: str) -> list[Turn]:
        """Pieces of work; the visitor is the first letter of a name."""
        made = []
        for name in names:
            self.ends[name], self.began[name] = threading.Event(), threading.Event()

            def run(name=name) -> None:
                self.begun.append(name)
                self.began[name].set()
                self.ends[name].wait(PATIENCE)

            turn = Turn(name[0], run, lambda n=name: n[0] not in self.away, lambda n=name: self.lost.append(n))
            self.queue.join(turn)
            made.append(turn)
        return made

    def end(self, name: str, then: str) -> None:
        """End one piece of work, which lets another begin."""
        self.ends[name].set()
        assert self.began[then].wait(PATIENCE), f"{then} did not begin after {name}"

    def are_running(self, *names: str) -> None:
        assert all(self.began[name].wait(PATIENCE) for name in names) and sorted(self.begun) == sorted(names)


@pytest.fixture(autouse=True)
def _nobody_looks_by_itself(monkeypatch):
    monkeypatch.setattr(turns, "EVERY", 0.01)


@pytest.fixture
def desk(request):
    made = Desk(*request.param)
    yield made
    made.queue.most = 0  # nothing that waits begins any more
    for event in made.ends.values():
        event.set()


@pytest.mark.parametrize("desk", [(2,)], indirect=True)
def test_visitors_take_turns_however_much_one_of_them_asks_for(desk):
    desk.join("a1", "a2", "a3", "a4", "a5", "b1", "c1", "b2")
    desk.are_running("a1", "a2")
    desk.end("a1", then="b1")
    desk.end("a2", then="c1")
    desk.end("b1", then="a3")  # b's latest began after a's
    desk.end("c1", then="b2")
    desk.end("b2", then="a4")


@pytest.mark.parametrize("desk", [(8,)], indirect=True)
def test_no_visitor_has_more_than_a_few_running_though_places_are_free(desk):
    *_, third, fourth = desk.join("a1", "a2", "a3", "a4")
    desk.are_running("a1", "a2")
    assert desk.queue.wait(third) == Wait(0, 1) and desk.queue.wait(fourth) == Wait(0, 2)
    desk.join("b1")
    assert desk.began["b1"].wait(PATIENCE)
    desk.end("a1", then="a3")


@pytest.mark.parametrize("desk", [(2,)], indirect=True)
def test_each_knows_how_many_come_first(desk):
    running, _, third, fourth, own = desk.join("a1", "b1", "c1", "d1", "c2")
    assert desk.queue.wait(running) is None
    assert [desk.queue.wait(turn) for turn in (third, fourth, own)] == [Wait(1, 0), Wait(2, 0), Wait(3, 0)]
    assert desk.queue.leave(third) and not desk.queue.leave(running)
    assert desk.queue.wait(fourth) == Wait(1, 0) and desk.queue.wait(third) is None
    desk.end("b1", then="d1")


@pytest.mark.parametrize("desk", [(1, 2)], indirect=True)
def test_what_is_short_does_not_wait_behind_what_is_long(desk):
    desk.join("a1", "b1", "c1")
    desk.are_running("a1")
    desk.now = LONG + 1
    assert desk.began["b1"].wait(PATIENCE)
    desk.now = 3 * LONG
    desk.queue.look()
    assert "c1" not in desk.begun  # two are all that there is room for
    desk.end("a1", then="c1")


@pytest.mark.parametrize("desk", [(1,)], indirect=True)
def test_work_of_a_closed_tab_ends_and_does_not_begin(desk):
    _, _, later = desk.join("a1", "a2", "b1")
    desk.are_running("a1")
    desk.away.add("a")
    desk.now = AWAY / 2
    desk.queue.look()
    assert not desk.lost
    desk.end("a1", then="b1")  # in its place: nobody would see what a2 comes to
    desk.now = AWAY + 1
    desk.queue.look()
    assert set(desk.lost) == {"a2"} and desk.queue.wait(later) is None


@pytest.mark.parametrize("desk", [(1,)], indirect=True)
def test_work_of_a_tab_that_comes_back_goes_on(desk):
    desk.join("a1")
    for desk.now, away in ((1.0, {"a"}), (AWAY - 1, set()), (AWAY, {"a"}), (2 * AWAY - 2, set())):
        desk.away = away
        desk.queue.look()
    assert not desk.lost


@pytest.mark.parametrize("desk", [(1,)], indirect=True)
def test_work_that_fails_gives_its_place_up(desk, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda told: None)
    failed = []

    def fails() -> None:
        failed.append(threading.current_thread())
        raise ValueError("Why.")

    desk.queue.join(Turn("a", fails, lambda: True, lambda: None))
    desk.join("b1")
    assert desk.began["b1"].wait(PATIENCE)
    failed[0].join(PATIENCE)  # it ends while its fault is still expected
