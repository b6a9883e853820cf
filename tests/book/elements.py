"""What the tests of several playgrounds do with one: its HTML, its state, its buttons, and what its module computes."""

from cnnlib.playground.files import module


def html(widget):
    """What the book shows of a widget."""
    return widget._repr_mimebundle_()[0]["text/html"]


def state(found, name):
    """A value of a playground's model."""
    return found.evaluate("(e, name) => e.model.get(name)", name)


def press(found, name):
    """Presses one of a playground's buttons."""
    found.get_by_role("button", name=name, exact=True).click()


def computed(page, name, body, *arguments):
    """What JavaScript computes with the module `m` of the playground NAME."""
    code = """async ([text, body, values]) => {
        const m = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
        const list = array => Array.from(array);
        return new Function("m", "list", "values", body)(m, list, values);
    }"""
    return page.evaluate(code, [module(name), body, arguments])


def settle(page):
    """Waits until what was done is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def draw_down(page, surface):
    """Draws a line down a surface of 28 x 28 with a finger; the page may not move with it."""
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    touch = page.context.new_cdp_session(page)

    def finger(kind, *points):
        places = [{"x": box["x"] + x * 10, "y": box["y"] + y * 10} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    before = page.evaluate("scrollY")
    finger("touchStart", (14, 4))
    for k in range(1, 11):
        finger("touchMove", (14, 4 + 2 * k))
        page.wait_for_timeout(16)
    finger("touchEnd")
    settle(page)
    assert page.evaluate("scrollY") == before
