"""The tuner in a real browser: the same numbers as Python, redrawn without the server, and heard when it should be."""

import json

import numpy as np
import pytest

from optlaws_core.laws import LAWS
from optlaws_core.laws.browser import payload
from optlaws_core.laws.evaluation import batch, predict
from tests.browser.conftest import Visitors
from tests.browser.tuner_app import KEY, PLANTED, made_runs

# Relative. Python works out some losses from those at moments near them, which is good to 1e-9 for coefficients that
# fits find, and to 4e-8 for exponents near 3; exp and log may differ in the last place between browsers and NumPy.
EQUAL = 1e-7


@pytest.fixture(scope="module")
def url(serve):
    return serve("tests/browser/tuner_app.py")


class Tuner:
    """The tuner on an open page, as a user handles it."""

    def __init__(self, page):
        self.page = page
        page.wait_for_function(f"window.optlawsTuner?.state({KEY!r})")

    @property
    def state(self) -> dict:
        """Coefficients and curves on the screen, once no redraw is due."""
        self.page.wait_for_function(f"!optlawsTuner.state({KEY!r}).drawing")
        return self.page.evaluate(f"optlawsTuner.state({KEY!r})")

    @property
    def heard(self) -> dict:
        """What the last run of the page's script saw."""
        return json.loads(self.page.locator("#heard").text_content())

    def wait_heard(self, condition: str) -> dict:
        """Wait until JavaScript's `condition` holds for what Python heard, called `h`."""
        # While the page is redrawn, the element may be missing, or stand there twice.
        heard = "JSON.parse(document.querySelector('#heard')?.textContent ?? null)"
        return self.page.wait_for_function(f"(h => h && ({condition}) && h)({heard})").json_value()

    def choose(self, law: str) -> None:
        """Show the tuner of another law in its place."""
        self.page.get_by_label("Law", exact=True).fill(law)
        self.page.keyboard.press("Enter")
        chosen = self.wait_heard(f"h.law === {law!r}")
        self.page.wait_for_function(f"optlawsTuner.state({KEY!r})?.id === {chosen['id']!r}")

    def slider(self, name: str):
        return self.page.locator(f'input[type="range"][data-param="{name}"]')

    def field(self, name: str):
        return self.page.locator(f'input.value[data-param="{name}"]')

    def type(self, name: str, text: str) -> None:
        self.field(name).fill(text)
        self.field(name).press("Enter")

    def type_all(self, values: dict[str, float]) -> None:
        """As if they had been typed between two frames: one redraw and one run of the script for all."""
        self.page.locator("input.value").evaluate_all(
            """(fields, values) => fields.forEach(field => {
              field.value = values[field.dataset.param];
              field.dispatchEvent(new Event("change", { bubbles: true }));
            })""",
            {name: repr(value) for name, value in values.items()},
        )

    def button(self, text: str):
        return self.page.get_by_role("button", name=text)

    def picture(self) -> str:
        """The chart's pixels."""
        return self.page.locator(".uplot canvas").first.evaluate("c => c.toDataURL()")


@pytest.fixture
def tuner(page, url):
    """The tuner of the Opt-Laws curve. No test may leave errors on the console."""
    opened = page(f"{url}/?law=opt_laws_curve")
    yield Tuner(opened)
    assert opened.complaints == []


@pytest.fixture(scope="module")
def any_law(browser, url):
    """A tuner that is asked for one law after another."""
    visitors = Visitors(browser)
    yield Tuner(visitors.open(url))
    visitors.close()


def somewhere(law, seed: int) -> dict[str, float]:
    """Coefficients anywhere on the sliders; seeds 0 and 1 are their ends."""
    params = payload(law, [], PLANTED[law.name])["params"]
    random = np.random.default_rng(seed)
    found = {}
    for p, q in zip(law.params, params, strict=True):
        ends = np.array([p.to_scale(q["start"]), p.to_scale(q["stop"])])
        share = seed if seed < 2 else random.random()
        found[p.name] = float(np.clip(p.from_scale(ends[0] + share * (ends[1] - ends[0])), q["low"], q["high"]))
    return found


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_browser_and_python_agree(law, any_law):
    tuner = any_law
    tuner.page.complaints.clear()
    tuner.choose(law.name)
    runs = {r.name: r for r in made_runs(law)}
    worst = 0.0
    for theta in (PLANTED[law.name], *(somewhere(law, seed) for seed in range(5))):
        tuner.type_all(theta)
        state = tuner.state
        assert state["theta"] == pytest.approx(theta, rel=1e-4)  # a field shows five digits: retyping them is no change
        for name, run in runs.items():
            steps = np.array(state["steps"][name], int)
            expected = predict(batch(law, [(run.plan, steps)]), law.vector(state["theta"]))
            worst = max(worst, float(np.abs(np.array(state["predicted"][name]) / expected - 1).max()))
    print(f"{law.name}: largest relative difference {worst:.1e}")
    assert worst < EQUAL
    assert tuner.page.complaints == []


def test_dragging_redraws_without_the_server_and_python_hears_the_release(tuner):
    before, shown, reruns = tuner.state, tuner.picture(), tuner.heard["reruns"]
    box = tuner.slider("q").bounding_box()
    y = box["y"] + box["height"] / 2
    mouse = tuner.page.mouse
    mouse.move(box["x"] + box["width"] / 2, y)
    mouse.down()
    curves = []
    for share in (0.55, 0.6, 0.65, 0.7):
        mouse.move(box["x"] + share * box["width"], y)
        curves.append(tuner.state["predicted"]["cosine"][-1])
    tuner.page.wait_for_timeout(600)  # longer than the component waits once a slider is released
    assert tuner.heard["reruns"] == reruns
    assert len({before["predicted"]["cosine"][-1], *curves}) == 5
    assert tuner.picture() != shown
    mouse.up()
    heard = tuner.wait_heard(f"h.reruns === {reruns + 1}")
    assert heard["theta"] == tuner.state["theta"] != before["theta"]
    assert float(tuner.page.locator(".tuner").get_attribute("data-last-ms")) > 0


def test_arrow_keys_move_a_slider_and_are_heard_once(tuner):
    before, reruns = tuner.state, tuner.heard["reruns"]
    tuner.slider("A").focus()
    for _ in range(10):
        tuner.page.keyboard.press("ArrowRight")
    after = tuner.state
    assert after["theta"]["A"] > before["theta"]["A"]
    assert after["predicted"]["wsd"] != before["predicted"]["wsd"]
    heard = tuner.wait_heard(f"h.reruns > {reruns}")
    assert heard["reruns"] == reruns + 1
    assert heard["theta"] == after["theta"]


def test_reset_goes_back_to_the_fit_exactly(tuner):
    fitted = tuner.state
    assert tuner.button("Reset to the fit").is_disabled()
    tuner.type("rho", "2")
    tuner.wait_heard("h.theta.rho === 2")
    assert tuner.state["rmse"]["cosine"] > 0.001 > fitted["rmse"]["cosine"]
    tuner.button("Reset to the fit").click()
    assert tuner.state == fitted | {"lastMs": tuner.state["lastMs"]}
    assert tuner.wait_heard("h.theta.rho !== 2")["theta"] == fitted["theta"]


def test_locked_coefficients_are_refitted_around(tuner):
    assert tuner.button("Refit the others").is_disabled()
    tuner.type("q", "0.45")
    tuner.page.get_by_role("button", name="Lock q", exact=True).click()
    tuner.button("Refit the others").click()
    heard = tuner.wait_heard("h.asked && h.fitted.q === 0.45")
    assert heard["asked"]["locked"] == ["q"]
    assert heard["asked"]["theta"]["q"] == 0.45
    tuner.page.wait_for_function(f"optlawsTuner.state({KEY!r}).theta.L_inf !== {heard['asked']['theta']['L_inf']!r}")
    state = tuner.state
    assert state["theta"] == heard["fitted"]  # the sliders stand at the new fit
    assert state["locked"] == ["q"]


def test_a_tuned_set_is_kept_under_a_name(tuner):
    tuner.type("A0", "123456")
    assert tuner.button("Keep as…").is_disabled()
    tuner.page.get_by_label("Name for these coefficients").fill("by hand")
    tuner.button("Keep as…").click()
    kept = tuner.wait_heard("h.kept")["kept"]
    assert kept["name"] == "by hand"
    assert kept["theta"] == tuner.state["theta"]
    assert kept["theta"]["A0"] == 123456


def test_a_rerun_leaves_sliders_and_chart_alone(tuner):
    tuner.type("c", "3000")
    before = tuner.wait_heard("h.theta.c === 3000")
    tuner.page.locator(".uplot canvas").first.evaluate("c => { c.marked = true; }")
    tuner.button("Run again").click()
    tuner.wait_heard(f"h.reruns > {before['reruns']}")
    assert tuner.state["theta"]["c"] == 3000
    assert tuner.page.locator(".uplot canvas").first.evaluate("c => c.marked")


def test_sliders_come_back_as_they_were_left(tuner):
    tuner.type("c", "3000")
    tuner.wait_heard("h.theta.c === 3000")
    show = tuner.page.get_by_test_id("stCheckbox").filter(has_text="Show").locator("label")
    show.click()
    tuner.wait_heard("h.theta.c === undefined")
    assert tuner.page.locator(".tuner").count() == 0
    show.click()
    tuner.wait_heard("h.theta.c === 3000")  # Streamlit had forgotten it; the browser says it again
    assert tuner.state["theta"]["c"] == 3000


def test_a_new_theme_repaints_and_changes_nothing_else(tuner):
    tuner.type("c", "3000")
    tuner.wait_heard("h.theta.c === 3000")
    light = tuner.picture()
    tuner.page.emulate_media(color_scheme="dark")
    tuner.page.wait_for_timeout(500)
    assert tuner.picture() != light
    assert tuner.state["theta"]["c"] == 3000


def test_what_is_no_allowed_number_is_said_to_be_wrong(tuner):
    before, field = tuner.state["theta"], tuner.field("A")
    for text in ("", "abc", "-1", "1e99", "NaN"):
        tuner.type("A", text)
        assert field.get_attribute("aria-invalid") == "true"
        assert f'A must be a number from 0.05 to 10000, got "{text}"' in field.get_attribute("title")
        assert tuner.state["theta"] == before
        field.press("Escape")
        assert field.get_attribute("aria-invalid") == "false"


def test_runs_axes_and_residuals_can_be_toggled(tuner):
    shown = tuner.picture()
    for name in ("Log steps", "Log loss", "Residuals"):
        tuner.page.get_by_label(name).check()
    assert tuner.page.locator(".uplot").count() == 2
    logarithmic = tuner.picture()
    assert logarithmic != shown
    tuner.page.get_by_label("Show wsd", exact=True).uncheck()
    assert tuner.picture() != logarithmic


def test_nothing_is_clipped_at_any_width(tuner):
    for name, value in tuner.state["theta"].items():
        tuner.type(name, repr(value * 1.0123))  # long numbers and changes in every place
    for width in (700, 760, 1000, 1280, 1500, 1920):
        tuner.page.set_viewport_size({"width": width, "height": 900})
        tuner.page.wait_for_timeout(200)
        clipped = tuner.page.locator(".tuner").evaluate(
            """root => [...root.querySelectorAll("button, .meaning, td, th, .symbol, input.value, label, .key")]
              .filter(e => getComputedStyle(e).display !== "inline" && !e.querySelector(".tip"))
              .filter(e => e.scrollWidth > e.clientWidth + 1)
              .map(e => e.className + ": " + e.textContent)"""
        )
        assert clipped == [], width
        wide = tuner.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert wide <= width
        chart = tuner.page.locator(".uplot").first.bounding_box()
        host = tuner.page.locator(".chart").first.bounding_box()
        assert abs(chart["width"] - host["width"]) <= 1, width
