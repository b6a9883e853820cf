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
