"""The built documentation: links, alternative texts, the reference, and one page in a browser.

``sphinx-build -W docs docs/_build`` builds it; the variable FASTNET_SITE names another folder.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SITE = Path(os.environ.get("FASTNET_SITE", ROOT / "docs" / "_build")).resolve()


@dataclass
class Page(HTMLParser):
    """What a page links to, what it can be linked at, and its images."""

    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    images: list[dict[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if name := values.get("id"):
            self.anchors.add(name)
        if tag == "img":
            self.images.append(values)
        for key in ("href", "src"):
            if target := values.get(key):
                self.links.append(target)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def faults(site: Path) -> list[str]:
    """Return links within the site that lead nowhere, resources from elsewhere, images without a text."""
    pages = {path: read(path) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        here = path.relative_to(site)
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target = target / "index.html"
            anchor = unquote(parts.fragment)
            if not target.exists():
                found.append(f"{here}: {link} leads to no file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{here}: {link} leads to no such place")
        for image in page.images:
            if not (image.get("alt") or "").strip() or image["alt"] == image.get("src"):
                found.append(f"{here}: {image.get('src')} has no alternative text")
    return found


@pytest.fixture(scope="module")
def site() -> Path:
    if not (SITE / "index.html").exists():
        pytest.skip(f"no site in {SITE}: sphinx-build -W docs docs/_build")
    return SITE


def test_links_lead_somewhere_and_images_have_texts(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 50
    assert faults(site) == []


def test_faults_are_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<p id="a"><a href="#a"></a><a href="#b"></a><a href="no.html"></a><img src="index.html"></p>',
        encoding="utf-8",
    )
    assert faults(tmp_path) == [
        "index.html: #b leads to no such place",
        "index.html: no.html leads to no file",
        "index.html: index.html has no alternative text",
    ]


def test_notebooks_show_their_pictures(site: Path) -> None:
    """A figure that matplotlib's pyplot does not know is shown as a line of text."""
    for name, count in (("first_network", 2), ("digits", 2)):
        page = site / "notebooks" / f"{name}.html"
        outputs = page.read_text(encoding="utf-8").count('class="cell_output')
        assert outputs > count
        assert len([image for image in read(page).images if "_images" in str(image["src"])]) >= count
        assert "&lt;Figure size" not in page.read_text(encoding="utf-8")
    assert "<title>Network 2-4-1" in (site / "notebooks" / "first_network.html").read_text(encoding="utf-8")


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    import fastnet as fn

    shown = set().union(*(read(path).anchors for path in (site / "api" / "names").glob("*.html")))
    names = [name for name in fn.__all__ if not name.startswith("__")]
    missing = [
        name
        for name in names
        if f"fastnet.{name}" not in shown and not hasattr(getattr(fn, name), "__path__")
    ]
    assert [
        name for name in missing if not (site / "api" / "modules" / f"fastnet.{name}.html").exists()
    ] == []


def test_nothing_comes_from_another_server(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    loaded = [link for link in read(site / "index.html").links if link.startswith(("http:", "https:", "//"))]
    assert not [link for link in loaded if f'src="{link}"' in page or link.endswith((".css", ".js"))]


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a Chromium without a window, 390 pixels wide."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in ("--headless=new", "--no-sandbox"):
        options.add_argument(option)
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    resize(window, 390)
    yield window
    window.quit()


def resize(window: Any, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_reader_searches_follows_a_link_and_sees_a_figure(site: Path, browser: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    with served(site) as address:
        wait = WebDriverWait(browser, 20)
        browser.get(f"{address}/search.html?q=chain+rule")
        found = wait.until(lambda w: w.find_elements("css selector", "#search-results li a"))
        assert any("notes" in link.get_attribute("href") for link in found)
        browser.get(f"{address}/index.html")
        browser.find_element("partial link text", "Start here").click()
        wait.until(lambda w: w.current_url.endswith("start.html"))
        figures = browser.find_elements("css selector", "figure.drawn img")
        script = "return [...arguments].map(image => image.offsetWidth && image.naturalWidth)"
        widths = browser.execute_script(script, *figures)
        assert sorted(width > 0 for width in widths) == [False, True]  # one of the two themes' drawings


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(site: Path, browser: Any, width: int) -> None:
    resize(browser, width)
    script = """return ['html', '.content'].filter(name => {  // the theme lets the second scroll
        const part = document.querySelector(name);
        return part && part.scrollWidth > part.clientWidth; })"""
    wide = []
    for path in sorted(site.rglob("*.html")):
        browser.get(path.as_uri())
        wide += [f"{path.relative_to(site)}: {name}" for name in browser.execute_script(script)]
    assert wide == []


CONTRAST = """
const light = color => {  // relative luminance, WCAG 2.2
    const part = color.map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * part[0] + .7152 * part[1] + .0722 * part[2]; };
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const behind = part => {
    for (; part; part = part.parentElement) {
        const color = numbers(getComputedStyle(part).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color; }
    return [255, 255, 255]; };
const found = new Set();
let seen = 0;
for (const part of document.querySelectorAll('article *')) {
    const text = [...part.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!text || !part.offsetWidth) continue;
    const pair = [light(numbers(getComputedStyle(part).color)), light(behind(part))];
    const ratio = (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    seen += 1;
    if (ratio < 4.5) found.add(part.className + ' ' + ratio.toFixed(2)); }
return [seen, [...found]]"""


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_what_is_behind_it(site: Path, browser: Any, theme: str) -> None:
    """4.5:1, as WCAG 2.2 (1.4.3) asks of text, also of each colour of the code."""
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    faint: dict[str, list[str]] = {}
    for name in ("guides/files", "guides/serving", "people/library-author", "notebooks/first_network"):
        browser.get((site / f"{name}.html").as_uri())
        seen, found = browser.execute_script(CONTRAST)
        assert seen > 50
        if found:
            faint[name] = found
    assert faint == {}
