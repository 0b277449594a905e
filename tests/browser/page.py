#!/usr/bin/env python3
"""Drives the web page in Chromium, as a person would, and writes screenshots of its main states.

    python3 tests/browser/page.py --binary target/release/sightword --screenshots DIR [NAME …]

Works on a copy of examples/photos. NAMEs run only those checks. Exit code 1 if one fails.
"""

import argparse
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESKTOP = {"width": 1280, "height": 900}
# Patches of a picture in the model inside the program.
PATCHES = 10 * 10
PHONE = {"width": 390, "height": 800}
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@contextlib.contextmanager
def serving(binary, photos, *arguments):
    command = [binary, "serve", "--in", str(photos), "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        try:
            yield line.strip().removeprefix("listening on ")
        finally:
            process.terminate()
            assert process.wait(60) == 0, "the server did not end well"


class Stage:
    """A page, where its screenshots go, and what it complained of."""

    def __init__(self, browser, address, shots, photos, **options):
        self.context = browser.new_context(viewport=options.pop("viewport", DESKTOP), base_url=address, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.shots, self.photos, self.complaints, self.hosts = shots, photos, [], set()
        self.page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(re.sub(r"^(\w+:(?://[^/]*)?).*", r"\1", request.url)))

    def search(self, query):
        self.page.goto("/")
        self.page.get_by_role("combobox", name="Search for words").fill(query)
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#grid a").first).to_be_visible()

    def loaded(self):
        """Waits for the pictures in view. A function to wait for would need eval, which the page forbids."""
        self.page.wait_for_load_state("networkidle")

    def shot(self, name):
        self.loaded()
        self.page.screenshot(path=self.shots / f"{name}.png")

    def accessible(self, state):
        found = Axe().run(self.page).response["violations"]
        bad = [violation for violation in found if violation["impact"] in ("serious", "critical")]
        assert not bad, f"{state}: " + "; ".join(
            f"{v['id']} at {[node['target'] for node in v['nodes'][:3]]}" for v in bad)


@check
def search_shows_pictures_with_their_words(stage):
    stage.search("a cup of coffee")
    page = stage.page
    expect(page.get_by_role("status").first).to_contain_text("picture")
    first = page.locator("#grid a").first
    expect(first).to_contain_text("coffee")
    assert "coffee-cup" in first.locator("img").get_attribute("alt")
    expect(page).to_have_url(re.compile(r"\?q=a\+cup\+of\+coffee$"))
    stage.shot("search")
    stage.accessible("search")


@check
def words_are_suggested_while_typing(stage):
    page = stage.page
    page.goto("/")
    box = page.get_by_role("combobox", name="Search for words")
    box.press_sequentially("a cup of coff")
    option = page.get_by_role("option").first
    expect(option).to_contain_text("coffee")
    box.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    stage.shot("suggestions")
    box.press("Enter")
    expect(box).to_have_value("a cup of coffee")
    box.press("Enter")
    expect(page.locator("#grid a").first).to_contain_text("coffee")


@check
def the_bars_add_up_and_a_token_lights_its_patches(stage):
    stage.search("a cup of coffee")
    page = stage.page
    page.locator("#grid a").first.click()
    expect(page.locator("#why")).to_contain_text("Number 1 of")
    products = [float(text) for text in page.locator(".sum tbody td:last-child").all_text_contents()]
    assert abs(sum(products) - float(page.locator("#score").inner_text())) < 1e-6, products
    word = page.locator(".sum button").first
    word.hover()
    expect(page.locator(".view .lit")).to_have_count(1)
    stage.shot("why")
    word.click()
    expect(page.locator(".view .heat")).to_have_count(PATCHES)
    expect(word).to_have_attribute("aria-pressed", "true")
    stage.shot("heat")
    stage.accessible("picture")
    word.click()
    expect(page.locator(".view .heat")).to_have_count(0)
    page.go_back()
    expect(page.locator("#grid a").first).to_be_visible()


@check
def sliders_steer_and_the_address_can_be_shared(stage):
    stage.search("a cup of coffee")
    page = stage.page
    page.locator("#all").evaluate("box => { box.checked = true; box.dispatchEvent(new Event('change')); }")
    expect(page).to_have_url(re.compile("all=1"))
    slider = page.locator("#sliders input").first
    word = slider.get_attribute("data-token")
    before = page.locator("#grid a .numbers").first.inner_text()
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile(f"t={word}%3A"))
    expect(page.locator("#grid a .numbers").first).not_to_have_text(before)
    expect(page.locator("#sliders .mine")).to_have_count(1)
    stage.shot("steer")
    cards = page.locator("#grid a").all_inner_texts()
    other = stage.context.new_page()
    other.goto(page.url)
    expect(other.locator("#grid a").first).to_be_visible()
    assert other.locator("#grid a").all_inner_texts() == cards
    other.close()
    page.get_by_label(f"Take out {word}", exact=True).click()
    expect(page.locator("#sliders .out")).to_have_text(re.compile(word))
    page.get_by_role("button", name=f"Put {word} back").click()
    expect(page.locator("#sliders .out")).to_have_count(0)


@check
def a_forbidden_word_leaves_pictures_out(stage):
    stage.search("a cup of coffee")
    page = stage.page
    word = page.locator("#sliders input").first.get_attribute("data-token")
    page.get_by_label(f"Forbid {word}", exact=True).click()
    expect(page).to_have_url(re.compile(f"-{word}"))
    expect(page.get_by_role("combobox", name="Search for words")).to_have_value(re.compile(f"-{word}$"))
    expect(page.locator("#grid a[data-id]").filter(has_text="coffee-cup")).to_have_count(0)


@check
def nothing_found_is_said_and_the_nearest_are_a_click_away(stage):
    page = stage.page
    page.goto("/?q=children+playing+soccer")
    expect(page.locator("#notice")).to_contain_text("Nothing found")
    stage.shot("nothing")
    stage.accessible("nothing found")
    page.get_by_role("button", name="Show the nearest").click()
    expect(page.locator("#grid a").first).to_be_visible()


@check
def a_picture_that_is_chosen_is_searched_by(stage):
    page = stage.page
    page.goto("/")
    page.locator("#file").set_input_files(str(stage.photos / "moose.jpg"))
    expect(page.locator("#grid a img").first).to_have_attribute("alt", re.compile("moose"))
    expect(page).to_have_url(re.compile(r"\?t="))


@check
def a_picture_that_is_dropped_is_searched_by(stage):
    page = stage.page
    page.goto("/")
    bytes_ = list((stage.photos / "panda.jpg").read_bytes())
    drop = """bytes => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "panda.jpg", {type: "image/jpeg"}));
        for (const type of ["dragover", "drop"])
            dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
    }"""
    page.evaluate(drop, bytes_)
    expect(page.locator("#grid a img").first).to_have_attribute("alt", re.compile("panda"))


@check
def errors_say_what_to_do(stage):
    page = stage.page
    page.goto("/?q=dog+%5E2")
    expect(page.locator("#notice")).to_contain_text("'^' has no word before it")
    stage.shot("error")
    page.goto("/?picture=b3:000000000000")
    expect(page.locator("#notice")).to_contain_text("no picture with the id")
    stage.complaints.clear()  # The browser itself reports each 4xx.


@check
def any_picture_says_why_it_is_not_found(stage):
    stage.search("a cup of coffee")
    page = stage.page
    page.locator("#missing summary").click()
    page.get_by_label("A part of its name").fill("moose")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#picture-title")).to_have_text("moose.jpg")
    expect(page.locator("#why")).to_contain_text("Not found")


@check
def words_of_all_pictures_can_be_browsed(stage):
    page = stage.page
    page.goto("/")
    page.get_by_role("link", name="Words", exact=True).click()
    expect(page.get_by_role("heading", name="Words of your pictures")).to_be_visible()
    page.get_by_label("That begin with").fill("cof")
    stage.accessible("words")
    stage.shot("words")
    page.get_by_role("link", name="coffee", exact=True).click()
    expect(page.locator("#grid a").first).to_contain_text("coffee")


@check
def filters_are_part_of_the_query(stage):
    page = stage.page
    page.goto("/")
    expect(page.get_by_role("status").first).to_contain_text("17 pictures")
    page.locator("#filters summary").click()
    page.get_by_label("Taken from").fill("1990-01-01")
    expect(page).to_have_url(re.compile("after%3A1990-01-01"))
    stage.accessible("filters")


@check
def the_keyboard_is_enough(stage):
    stage.search("animal")
    page = stage.page
    page.locator("#grid a").first.focus()
    page.keyboard.press("ArrowRight")
    second = page.locator("#grid a").nth(1).get_attribute("data-id")
    assert page.evaluate("document.activeElement.dataset.id") == second
    page.keyboard.press("Enter")
    expect(page.locator("#picture-title")).to_be_focused()
    page.locator(".sum button").first.focus()
    expect(page.locator(".view .lit")).not_to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator(".view .heat")).to_have_count(PATCHES)


@check
def similar_pictures_lead_on(stage):
    stage.search("a cup of coffee")
    page = stage.page
    page.locator("#grid a").first.click()
    similar = page.locator("#picture .strip a").first
    expect(similar).to_be_visible()
    title = page.locator("#picture-title").inner_text()
    similar.click()
    expect(page.locator("#picture-title")).not_to_have_text(title)
    # The query goes along, so that any picture says why it is found, or not.
    expect(page.locator("#why")).to_contain_text(re.compile("Number|Not found"))


def phone(stage):
    stage.search("a cup of coffee")
    width = stage.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"the page is {width} pixels wide"
    stage.shot("phone")
    stage.accessible("phone")
    stage.page.locator("#grid a").first.click()
    expect(stage.page.locator("#why")).to_be_visible()
    assert stage.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    stage.shot("phone-picture")


def dark(stage):
    stage.search("a cup of coffee")
    background = stage.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background != "rgb(255, 255, 255)", background
    stage.shot("dark")
    stage.accessible("dark")
    stage.page.locator("#grid a").first.click()
    expect(stage.page.locator("#why")).to_be_visible()
    stage.shot("dark-picture")
    stage.accessible("dark picture")


def token(stage):
    page = stage.page
    page.goto("/")
    page.get_by_label("Token").fill("open-sesame")
    stage.shot("token")
    stage.accessible("token")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status").first).to_contain_text("17 pictures")
    stage.loaded()
    assert page.locator("#grid img").first.evaluate("image => image.naturalWidth") > 0
    stage.complaints.clear()  # The browser itself reports the 401.


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--screenshots", type=pathlib.Path, required=True)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    args.screenshots.mkdir(parents=True, exist_ok=True)
    failed = []

    def run(function, browser, address, photos, **options):
        if args.names and function.__name__ not in args.names:
            return
        stage = Stage(browser, address, args.screenshots, photos, **options)
        try:
            function(stage)
            assert not stage.complaints, stage.complaints
            strangers = stage.hosts - {address, "data:", "blob:"}
            assert not strangers, f"the page asked {strangers}"
            print(f"ok    {function.__name__}")
        except Exception:
            failed.append(function.__name__)
            with contextlib.suppress(Exception):
                stage.page.screenshot(path=args.screenshots / f"failed-{function.__name__}.png")
            print(f"FAIL  {function.__name__}\n{traceback.format_exc()}")
        stage.context.close()

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        photos = pathlib.Path(folder, "photos")
        shutil.copytree(ROOT / "examples/photos", photos, ignore=shutil.ignore_patterns(".sightword"))
        browser = playwright.chromium.launch(executable_path=args.chromium, args=["--no-sandbox"])
        with serving(args.binary, photos) as address:
            for function in CHECKS:
                run(function, browser, address, photos)
            run(phone, browser, address, photos, viewport=PHONE, has_touch=True)
            run(dark, browser, address, photos, color_scheme="dark")
        with serving(args.binary, photos, "--token", "open-sesame") as address:
            run(token, browser, address, photos)
        browser.close()
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
