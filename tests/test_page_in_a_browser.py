"""The page in a real browser, by clicks and keys: nothing leaves it, and what it shows is right."""

import os
import shutil
from dataclasses import replace

import pytest
from conftest import require
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures_by_hand import chain, layered, reached, small, to_root

import tinygrad_bp as tg
from tinygrad_bp.render.page import html
from tinygrad_bp.render.picture import Card, Picture
from tinygrad_bp.render.visible import visible

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective));
"""


@pytest.fixture(scope="module")
def browser():
    playwright = require("playwright.sync_api")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        reason = f"no browser: none of {', '.join(NAMES)} is installed"
        (pytest.fail if os.environ.get("TINYGRAD_BP_CI") else pytest.skip)(reason)
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


class Opened:
    """A page that shows a picture. What goes wrong in it is remembered."""

    def __init__(self, browser, path, **options):
        options = {"viewport": {"width": 1200, "height": 800}, **options}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.path = path
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.hear(message.text))
        self.page.add_init_script(WATCH)

    def show(self, picture):
        self.path.write_text(html(picture), encoding="utf-8")
        self.page.goto(self.path.as_uri())
        self.until("'tinygrad' in window")
        return self

    def hear(self, message):
        if "willReadFrequently" not in message:  # what `pixels` provokes
            self.errors.append(message)

    def until(self, condition):
        """Wait from outside: the page's policy lets nobody evaluate text inside."""
        for _ in range(1000):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(20)
        pytest.fail(f"never came true: {condition}; {self.errors}")

    def state(self, name):
        return self.page.evaluate(f"tinygrad.{name}")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def place(self, number):
        """Return the middle of a card in the window."""
        self.frame()
        box = self.page.locator("#graph").bounding_box()
        at = self.state(f"where({number})")
        return box["x"] + at["x"], box["y"] + at["y"]

    def click(self, number):
        self.still()
        self.page.mouse.click(*self.place(number))

    def frame(self):
        """Wait until everything that was asked for is painted."""
        twice = "requestAnimationFrame(() => requestAnimationFrame(done))"
        self.page.evaluate(f"new Promise((done) => {twice})")

    def still(self):
        """Wait until the camera has arrived."""
        before = None
        while before != (before := self.state("camera")):
            self.page.wait_for_timeout(60)
            self.frame()

    def text(self, selector):
        return self.page.locator(selector).text_content()

    def pixels(self, ask, selector="#graph"):
        """Ask about the pixels of a canvas: an expression in `p`, its red, green, blue, alpha."""
        self.frame()
        read = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        return self.page.locator(selector).evaluate(f"c => {{ const p = {read}; return {ask}; }}")

    def close(self):
        assert self.errors == []
        assert self.page.evaluate("violations") == []
        assert set(self.requests) <= {self.path.as_uri()}
        self.context.close()


@pytest.fixture
def show(browser, tmp_path):
    opened = []

    def show(picture, **options):
        opened.append(Opened(browser, tmp_path / f"{len(opened)}.html", **options))
        return opened[-1].show(picture)

    yield show
    for page in opened:
        page.close()


# ---------------------------------------------------------------------------------- what is shown


def test_a_click_selects_a_card_and_says_everything_about_it(show):
    page = show(small())
    page.click(3)
    assert page.state("selected") == 3
    panel = page.text("#panel")
    for fact in ("multiply#3", "hidden", "value", "0.75", "y = multiply#3", "local derivative 0.25",
                 "local derivative 0.75", "50% of its gradient", "E"):  # fmt: skip
        assert fact in panel, fact
    spoken = page.text("#spoken")
    assert "multiply#3" in spoken
    assert "grad 0.375" in spoken


def test_the_panel_leads_on_to_inputs_and_consumers(show):
    page = show(small())
    page.click(3)
    assert page.page.locator("#panel [data-card='2']").count() == 2  # both edges of x · x
    page.page.click("#panel [data-card='4']")
    assert page.state("selected") == 4
    page.page.click("#panel [data-card='3']")
    assert page.state("selected") == 3


def test_the_panel_says_which_arrows_are_explained(show):
    picture = small()
    arrows = tuple(replace(arrow, marked=arrow.target == 4) for arrow in picture.arrows)
    page = show(replace(picture, arrows=arrows))
    page.click(3)
    assert page.text("#panel").count("on the explained path") == 1
    assert "Thick orange arrows: the explained path." in page.text("#legend")


def test_a_click_beside_all_cards_selects_nothing(show):
    page = show(small())
    page.click(3)
    page.page.mouse.click(30, 700)
    assert page.state("selected") is None
    assert page.state("highlighted") == []
    assert page.page.locator("#panel").is_hidden()


@pytest.mark.parametrize("seed", range(3))
def test_the_highlighted_paths_are_all_paths_to_the_root(show, seed):
    picture = layered(120, width=8, seed=seed)
    page = show(picture)
    for number in (0, 5, 50, 77, 100, 119):
        page.page.fill("#query", f"multiply#{number}")
        page.page.press("#query", "Enter")
        while page.state("selected") != number:
            page.page.press("#query", "Enter")
        paths = to_root(picture, number) | {number}
        assert page.state("highlighted") == sorted(paths)
        needs = reached(picture, [number], "target", "source") - {number}
        assert page.state("dependencies") == sorted(needs)


def test_the_panel_counts_what_is_highlighted(show):
    page = show(small())
    for number, ahead, behind in ((0, 3, 0), (2, 2, 2), (4, 0, 4)):
        words = f"{ahead} cards on its paths to the root (solid), {behind} cards it depends on"
        page.click(number)
        assert words in page.text("#panel")
    page.press("o")  # E is in no fold
    page.click(3)
    page.press("o")
    assert page.state("selected") == 6
    assert "1 card on its paths to the root (solid), 2 cards it depends on" in page.text("#panel")


def test_badges_are_read_without_colour(show):
    page = show(small())
    for number, shown in ((2, "◆ NaN origin"), (1, "▲ vanished"), (2, "● broadcast")):
        page.click(number)
        assert shown in page.text("#panel .badges")


def test_the_worst_comes_first(show):
    page = show(small())
    seen = []
    for _ in range(4):
        page.press("w")
        seen.append(page.state("selected"))
    assert seen == [2, 1, 4, 2]


# ---------------------------------------------------------------------------------- search


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("MULTIPLY", [2, 3]),
        ("multiply#3", [3]),
        ("×", [2, 3, 4]),
        ("float64", [0, 1, 2, 3, 4]),
        ("nan", [2, 5, 6]),
        ("neuron", [2, 5]),
        ("nothing like it", []),
        ("  ", []),
    ],
)
def test_search_finds_names_ops_shapes_badges_and_scopes(show, words, found):
    page = show(small())
    page.page.fill("#query", words)
    assert page.state("found") == found
    assert ("nothing found" in page.text("#found")) == (not found and bool(words.strip()))


def test_next_and_previous_go_round_and_open_what_hides_a_match(show):
    page = show(replace(small(), closed=frozenset({5, 6})))
    page.press("/")
    page.page.keyboard.type("multiply")
    seen = []
    for key in ("Enter", "Enter", "Enter", "Shift+Enter"):
        page.page.press("#query", key)
        seen.append(page.state("selected"))
    assert seen == [2, 3, 2, 3]
    assert page.text("#found") == "2 of 2"
    assert page.state("closed") == []


# ---------------------------------------------------------------------------------- folds


@pytest.mark.parametrize("closed", [set(), {5}, {6}, {5, 6}])
def test_what_is_shown_is_what_the_picture_says(show, closed):
    picture = replace(small(), closed=frozenset(closed))
    page = show(picture)
    assert sorted(page.state("shown")) == sorted(c.number for c in visible(picture).cards)


def test_a_click_opens_a_fold_where_it_stands_and_its_panel_closes_it(show):
    picture = layered(200, fold_every=2)
    folds = [fold.card.number for fold in picture.folds]
    page = show(replace(picture, closed=frozenset(folds)))
    before = page.place(folds[4])
    page.click(folds[4])
    assert page.state("closed") == [fold for fold in folds if fold != folds[4]]
    inside = [page.place(number) for number in picture.folds[4].members]
    middle = [sum(axis) / len(inside) for axis in zip(*inside, strict=True)]
    assert middle == pytest.approx(before, abs=2)
    page.page.click("text=Fold again")
    assert page.state("closed") == folds
    assert page.place(folds[4]) == pytest.approx(before, abs=2)


def test_the_label_of_a_frame_folds_what_is_inside(show):
    page = show(small())
    assert [frame["fold"] for frame in page.state("frames")] == [6, 5]
    for frame in page.state("frames"):
        if frame["fold"] == 6:
            box = page.page.locator("#graph").bounding_box()
            page.page.mouse.click(box["x"] + frame["x"], box["y"] + frame["y"])
    assert page.state("closed") == [6]
    assert page.state("shown") == [0, 1, 4, 6]


def test_all_can_be_unfolded_and_folded(show):
    picture = layered(200, fold_every=2)
    folds = sorted(fold.card.number for fold in picture.folds)
    page = show(picture)
    page.press("c")
    assert page.state("closed") == folds == page.state("shown")
    page.press("e")
    assert page.state("closed") == []
    assert page.state("shown") == list(range(200))


def test_a_card_folds_with_what_holds_it(show):
    page = show(small())
    page.click(2)
    page.press("o")
    assert (page.state("closed"), page.state("selected")) == ([5], 5)
    page.press("o")
    assert page.state("closed") == []


@settings(max_examples=3)
@given(st.sets(st.integers(0, 9)))
def test_no_card_lies_on_another_however_it_is_folded(browser, tmp_path_factory, closed):
    picture = layered(200, fold_every=2)
    chosen = frozenset(picture.folds[i].card.number for i in closed)
    page = Opened(browser, tmp_path_factory.mktemp("page") / "page.html").show(picture)
    page.press("c")
    for fold in sorted({f.card.number for f in picture.folds} - chosen):
        page.press("f")
        page.click(fold)
    boxes = page.state("shown.map(tinygrad.where)")
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart_x = abs(a["x"] - b["x"]) * 2 - a["width"] - b["width"]
            apart_y = abs(a["y"] - b["y"]) * 2 - a["height"] - b["height"]
            assert max(apart_x, apart_y) > -1e-3
    page.close()


# ---------------------------------------------------------------------------------- the two passes


def steps(page, keys="."):
    """Step to the end; return the phase and the cards of every step."""
    seen = []
    while page.state("step") is None or page.state("step") < page.state("steps"):
        page.press(keys)
        seen.append((page.state("phase"), tuple(page.state("now"))))
    return seen


def test_play_shows_every_value_and_then_every_gradient(show):
    page = show(small())
    seen = steps(page)
    forward = [number for phase, (number,) in seen if phase == "forward"]
    backward = [number for phase, (number,) in seen if phase == "backward"]
    assert sorted(forward) == [0, 1, 2, 3, 4]
    assert backward == [4, 3, 2, 1]  # no gradient passes to the constant
    for arrow in small().arrows:
        assert forward.index(arrow.source) < forward.index(arrow.target)
    assert [phase for phase, _ in seen] == ["forward"] * 5 + ["backward"] * 4


def test_the_backward_pass_follows_no_dashed_arrow(show):
    picture = layered(60, width=6, seed=3)
    alive = [arrow for arrow in picture.arrows if not arrow.dashed]
    root = max(arrow.target for arrow in picture.arrows)
    page = show(picture)
    backward = [number for phase, now in steps(page) if phase == "backward" for number in now]
    reachable = reached(replace(picture, arrows=tuple(alive)), [root], "target", "source")
    assert sorted(backward) == sorted(reachable)
    for arrow in alive:
        if arrow.target in reachable:
            assert backward.index(arrow.target) < backward.index(arrow.source)


def test_each_step_is_told_in_words(show):
    page = show(small())
    page.press("1")
    page.press(".", ".")
    assert page.text("#caption") == "Forward 3 of 5: multiply#2, value 0.5 = x × w"
    page.press(".", ".", ".", ".")
    caption = page.text("#caption")
    assert caption == (
        "Backward 2 of 4: multiply#3, grad 0.375; "
        "passes on 0.375 × 0.25 = 0.0938 to multiply#2, 50% of its gradient; "
        "0.375 × 0.75 = 0.281 to multiply#2, 50% of its gradient"
    )
    assert page.text("#spoken") == caption


def test_play_runs_to_the_end_by_itself_and_can_be_paused_and_left(show):
    page = show(small())
    page.page.select_option("#pace", "8")
    page.press("2")
    assert page.state("playing")
    page.press(" ")
    assert not page.state("playing")
    page.press(",")
    here = page.state("step")
    page.press(" ")
    page.until("!tinygrad.playing")
    assert page.state("step") == page.state("steps") > here
    page.press("Escape")
    assert page.state("phase") is None


def test_a_large_picture_is_played_rank_by_rank(show):
    page = show(layered(400, width=10))
    seen = steps(page)
    forward = [now for phase, now in seen if phase == "forward"]
    assert sum(map(len, forward)) == 400
    assert len(forward) <= 40


def test_motion_is_shown_unless_it_is_unwanted(show):
    moving = {}
    for wish in ("no-preference", "reduce"):
        page = show(small(), reduced_motion=wish)
        page.page.select_option("#pace", "0.5")
        page.press("2", ".")
        moving[wish] = page.pixels("p.some((x) => x > 0)", "#overlay")
    assert moving == {"no-preference": True, "reduce": False}


# ---------------------------------------------------------------------------------- moving about


def test_the_wheel_zooms_around_the_mouse(show):
    page = show(layered(200))
    before = page.place(100)
    page.page.mouse.move(*before)
    scale = page.state("camera.scale")
    page.page.mouse.wheel(0, -400)
    page.still()
    assert page.state("camera.scale") > 1.5 * scale
    assert page.place(100) == pytest.approx(before, abs=2)


def test_dragging_and_arrow_keys_move_the_picture(show):
    page = show(layered(200))
    x, y = page.place(100)
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x - 150, y + 70, steps=5)
    page.page.mouse.up()
    assert page.place(100) == pytest.approx((x - 150, y + 70), abs=2)
    assert page.state("selected") is None  # a drag is no click
    page.press("ArrowRight", "ArrowDown")
    assert page.place(100) == pytest.approx((x - 210, y + 10), abs=2)


def test_two_fingers_zoom(show):
    page = show(layered(200), has_touch=True)
    scale = page.state("camera.scale")
    touch = page.context.new_cdp_session(page.page)

    def send(kind, *xs):
        points = [{"x": x, "y": 400, "id": i} for i, x in enumerate(xs)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", 500, 600)
    for spread in range(0, 110, 10):
        send("touchMove", 500 - spread, 600 + spread)
    send("touchEnd")
    assert page.state("camera.scale") > 2 * scale


@pytest.mark.parametrize("zoom", [0, 4, 9])
def test_moved_pixels_are_those_of_a_fresh_painting(show, zoom):
    page = show(layered(200))
    page.press(*"+" * zoom)
    page.press("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft")
    page.pixels("(window.moved = p).length")
    page.press("t", "t", "t")  # through all colours and back: everything is painted again
    differs = "p.filter((x, i) => Math.abs(x - moved[i]) > 48).length / p.length"
    assert page.pixels(differs) < 0.002
    assert page.pixels("new Set(p).size") > 8


def test_fit_shows_everything(show):
    page = show(layered(200))
    page.press("+", "+", "+", "ArrowRight", "f")
    page.still()
    assert sorted(page.state("visible")) == page.state("shown") == list(range(200))


def test_a_drawn_network_tells_its_formulas_and_numbers(show):
    x = tg.Tensor([[1.0, -2.0]], requires_grad=False, name="x")
    w = tg.Tensor([[0.5], [0.25]], name="w")
    with tg.scope("output"):
        out = tg.sigmoid(x @ w)
    page = show(tg.draw(((out - 1.0) ** 2).sum()).picture)
    page.page.fill("#query", "sigmoid")
    page.page.press("#query", "Enter")
    panel = page.text("#panel")
    for fact in ("1 / (1 + e⁻ˣ)", "0.5", "in output", "matmul", "local derivative 0.25"):
        assert fact in panel, fact


# ---------------------------------------------------------------------------------- for everyone


def test_everything_goes_by_keyboard(show):
    page = show(small())
    page.press("Shift+ArrowLeft")
    assert page.state("selected") == 4  # the root first
    page.press("Shift+ArrowLeft", "Shift+ArrowLeft")
    assert page.state("selected") == 2
    page.press("Shift+ArrowLeft", "Shift+ArrowDown")
    assert page.state("selected") == 1
    page.press("Shift+ArrowRight")
    assert page.state("selected") == 2
    page.press("Enter")
    assert page.page.evaluate("document.activeElement.tagName") == "H2"
    page.press("Escape")
    assert page.state("selected") is None


def test_the_keyboard_is_led_on_when_the_panel_changes(show):
    page = show(small())
    page.click(2)
    focus = "document.activeElement.tagName + document.activeElement.textContent"
    page.page.focus("#panel [data-card='3']")
    page.press("Enter")
    assert page.page.evaluate(focus) == "H2multiply#3"
    page.page.focus("#panel [data-fold='6']")
    page.press("Enter")
    assert page.state("closed") == [6]
    assert page.page.evaluate(focus) == "H2multiply#3"
    page.press("Escape")
    assert page.page.evaluate("document.activeElement.id") == "graph"


def test_the_focus_is_seen(show):
    page = show(small())
    seen = []
    for _ in range(20):
        page.press("Tab")
        script = (
            "[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(page.page.evaluate(script))
    assert {"query", "worst", "graph", "forward", "play"} <= {name for name, _ in seen}
    assert all(style != "none" for name, style in seen if name)


def test_every_control_has_a_name(show):
    page = show(small())
    page.click(3)
    names = page.page.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas:not([aria-hidden])')]"
        ".map(e => e.getAttribute('aria-label') || e.textContent.trim()"
        " || e.closest('label')?.textContent)"
    )
    assert len(names) > 15
    assert all(names)


def test_help_lists_the_keys_and_closes(show):
    page = show(small())
    page.press("?")
    assert page.page.locator("dialog").is_visible()
    assert "Jump to the worst badge" in page.text("dialog")
    page.press("Escape")
    assert page.page.locator("dialog").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_switch(show, scheme):
    page = show(small(), color_scheme=scheme)
    other = {"light": "dark", "dark": "light"}[scheme]
    seen = []
    for change in (None, "t", "t", "t"):
        page.press(*filter(None, [change]))
        red = page.pixels("p[0]")
        assert (red > 128) == (page.state("theme") == "light")
        seen.append(page.state("theme"))
    assert seen == [scheme, "light", "dark", scheme]
    page.page.emulate_media(color_scheme=other)
    page.until(f"tinygrad.theme === '{other}'")


# ---------------------------------------------------------------------------------- anything at all

HOSTILE = st.sampled_from(
    [
        "</script><script>executed = 1</script>",
        "<img src=x onerror=executed=1>",
        '"><svg onload=executed=1>',
        "{|}<>&'\"\\",
        "\0\x1b[31m",
        "\u202eevil\u2066",
        "{data}${executed=1}`",
        "__proto__",
        "a" * 500,
    ]
)
LABEL = HOSTILE | st.text(max_size=30)


@settings(max_examples=6)
@given(st.lists(LABEL, min_size=7, max_size=7))
def test_no_label_is_executed_or_breaks_the_page(browser, tmp_path_factory, labels):
    title, name, line, badge, scope, heading, text = labels
    start = small()
    first = Card(
        0, "leaf", name, lines=(line,), badges=(badge,), scope=(scope,), details=((heading, text),)
    )
    picture = replace(start, title=title, cards=(first, *start.cards[1:]), notes=(line,))
    page = Opened(browser, tmp_path_factory.mktemp("page") / "page.html").show(picture)
    page.click(0)
    page.frame()
    assert page.page.evaluate("typeof executed") == "undefined"
    assert page.page.locator("script, img, svg").count() == 1
    assert page.state("selected") == 0
    shown = page.text("#panel h2")
    assert all(a in (b, "·") for a, b in zip(shown, name, strict=True))
    page.press("1", ".", "Escape")
    page.close()


def test_the_policy_is_in_force(show):
    page = show(small())
    for tag, content in (("script", "textContent = 'executed = 1'"), ("img", "src = 'data:,'")):
        page.page.evaluate(
            f"() => {{ const e = document.createElement('{tag}'); e.{content};"
            " document.body.append(e); }"
        )
    page.until("violations.length >= 2")
    assert page.page.evaluate("typeof executed") == "undefined"
    page.page.evaluate("violations.length = 0")
    assert len(page.errors) >= 2  # the browser says so, too
    page.errors.clear()
    page.requests.clear()


@pytest.mark.parametrize("count", [0, 1])
def test_a_picture_of_almost_nothing_opens(show, count):
    page = show(Picture("little", small().cards[:count], ()))
    assert page.state("shown") == list(range(count))
    page.press(
        "f", "w", "Shift+ArrowLeft", "e", "c", "o", "Enter", "1", ".", ".", "2", ".", "Escape"
    )


def test_a_deep_picture_opens_and_is_traced(show):
    page = show(chain(20_000))
    page.page.fill("#query", "multiply#7")
    page.page.press("#query", "Enter")
    assert len(page.state("highlighted")) == 20_000 - 7


def test_it_opens_on_a_small_screen(show):
    page = show(small(), viewport={"width": 390, "height": 700}, has_touch=True)
    page.page.touchscreen.tap(*page.place(3))
    assert page.state("selected") == 3
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_is_painted_before_it_answers(show):
    page = show(layered(2000, width=40))
    marks = page.page.evaluate("performance.getEntriesByName('tinygrad-painted').length")
    assert marks == 1
    assert page.pixels("new Set(p).size") > 8
