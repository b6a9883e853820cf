"""Watch the playgrounds that compute for seconds, in Chromium: `python benchmarks/learn.py`.

"Watch it learn": for each seed it trains in a page at its default setting until nine tenths of the held-out images are
right. Printed are the seconds that takes, images a second, and the longest block of the page's main thread: the longest
time for which a message that the page sends itself had to wait. "Where does it look": the square slides over all places
of a digit, one pixel apart, as often; printed are the seconds and the longest block.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from cnnlib.playground import learn_playground, look_playground
from cnnlib.playground.files import script

WATCH = """() => {
    const { port1, port2 } = new MessageChannel();
    let sent = performance.now();
    window.longest = 0;
    port1.onmessage = () => {
        window.longest = Math.max(window.longest, performance.now() - sent);
        setTimeout(() => { sent = performance.now(); port2.postMessage(null); });
    };
    port2.postMessage(null);
}"""
SHARE = """() => {
    const { shadowRoot } = document.querySelector("#one").firstChild;
    return parseFloat(shadowRoot.querySelectorAll(".heading span")[1].textContent);
}"""


def measure(browser, address, seed):
    """Seconds to nine tenths, images a second, and the longest block in milliseconds, of one run."""
    page = browser.new_page()
    page.goto(f"{address}#one.seed={seed}")
    train = page.get_by_role("button", name="Train", exact=True)
    train.wait_for()
    page.evaluate(WATCH)
    start = page.evaluate("performance.now()")
    train.click()
    page.wait_for_function(f"({SHARE})() >= 90", timeout=300_000)
    seconds = (page.evaluate("performance.now()") - start) / 1000
    longest, speed = page.evaluate("longest"), page.locator(".row .note").inner_text()
    page.close()
    return seconds, float(speed.rsplit(", ", 1)[1].split()[0].replace(",", "")), longest


def slide(browser, address):
    """Seconds until the square has been everywhere, and the longest block in milliseconds, of one run."""
    page = browser.new_page()
    page.goto(address)
    button = page.get_by_role("button", name="Slide", exact=True)
    button.wait_for()
    page.evaluate(WATCH)
    start = page.evaluate("performance.now()")
    button.click()
    page.get_by_role("button", name="Again", exact=True).wait_for(timeout=300_000)
    seconds, longest = (page.evaluate("performance.now()") - start) / 1000, page.evaluate("longest")
    page.close()
    return seconds, longest


def write_page(folder, name, playground):
    """The address of a page that holds one playground."""
    path = Path(folder) / f"{name}.html"
    html = playground._repr_mimebundle_()[0]["text/html"]
    path.write_text(f"<!doctype html><meta charset=utf-8>{html}<script>{script(name)}</script>", encoding="utf-8")
    return path.as_uri()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        learn = write_page(folder, "learn", learn_playground(name="one"))
        look = write_page(folder, "look", look_playground("7", patch=2, stride=1, name="one"))
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        runs = [measure(browser, learn, seed) for seed in range(args.seeds)]
        slides = [slide(browser, look) for _ in range(args.seeds)]
        browser.close()
    for seed, (seconds, speed, longest) in enumerate(runs):
        print(f"seed {seed}: 90 % after {seconds:.1f} s, {speed:,.0f} images a second, longest block {longest:.0f} ms")
    seconds, longest = statistics.median(run[0] for run in runs), max(run[2] for run in runs)
    print(f"median: {seconds:.1f} s; longest block of all: {longest:.0f} ms")
    seconds, longest = statistics.median(run[0] for run in slides), [run[1] for run in slides]
    print(f"where does it look: {seconds:.1f} s; longest blocks {min(longest):.0f} to {max(longest):.0f} ms")


if __name__ == "__main__":
    main()
