#!/usr/bin/env python3
"""Opens pages of `sim --html` in headless Chromium, as a reader has them: light, dark, on a telephone, in print.

    cargo run -p sim -- --layer 14 --html report.html
    tools/page.py report.html --out target/page

Each view must come without a word on the console, without a request to anywhere, and no wider than its window.
Writes a PNG for each view and a PDF, to be looked at.

Exit codes: 0 all of that is true, 1 something is not, 2 usage, 4 tool missing.
Chromium is $CHROMIUM, else the one on PATH. Playwright is installed by pip, pinned in page.txt, into $TMV_CACHE_DIR, else
`tmv` in the user's cache directory.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import provision  # noqa: E402

HERE = Path(__file__).resolve().parent
# Name: width of the window in CSS pixels, colour scheme.
VIEWS = {"light": (1280, "light"), "dark": (1280, "dark"), "telephone": (390, "light")}
# Nothing of Chromium's own may look for a network.
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
QUIET += ["--disable-component-update"]
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def chromium():
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else ["chromium", "chromium-browser", "google-chrome"]
    program = next(filter(None, map(shutil.which, names)), None)
    if not program:
        raise provision.Missing(f"no Chromium: none of {', '.join(names)} is on PATH; Debian's package is `chromium`")
    return program


def look(browser, page, out):
    """Opens one page in every view. Returns what is wrong with it."""
    wrong = []
    for name, (width, scheme) in VIEWS.items():
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab = context.new_page()
        tab.on("console", lambda message, name=name: wrong.append(f"{name}: console: {message.text}"))
        tab.on("pageerror", lambda error, name=name: wrong.append(f"{name}: {error}"))
        asked = []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.goto(page.as_uri())
        wrong += [f"{name}: asks for {url}" for url in asked if url != page.as_uri() and not url.startswith("data:")]
        if (excess := tab.evaluate(TOO_WIDE)) > 0:
            wrong.append(f"{name}: {excess} pixels wider than the window of {width}")
        tab.screenshot(path=out / f"{page.stem}-{name}.png", full_page=True)
        if scheme == "light" and width > 1000:
            tab.pdf(path=out / f"{page.stem}.pdf", format="A4")
        context.close()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", metavar="PAGE", nargs="+", type=Path)
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("target/page"), help="[default: target/page]")
    options = parser.parse_args()
    for page in options.pages:
        if not page.is_file():
            parser.error(f"{page}: there is no such file")
    try:
        program = chromium()
        home = provision.environment("page", HERE / "page.txt", "Playwright")
        if Path(sys.prefix) != home:
            again = [home / "bin" / "python", __file__, *sys.argv[1:]]
            return subprocess.run(again, env=provision.clean()).returncode
    except provision.Missing as error:
        print(error, file=sys.stderr)
        return 4
    from playwright.sync_api import sync_playwright

    options.out.mkdir(parents=True, exist_ok=True)
    failed = False
    with sync_playwright() as playwright:
        sandbox = hasattr(os, "geteuid") and os.geteuid() != 0  # Chromium has none for root
        browser = playwright.chromium.launch(executable_path=program, args=QUIET, chromium_sandbox=sandbox)
        for page in options.pages:
            wrong = look(browser, page.resolve(), options.out)
            failed |= bool(wrong)
            print(f"{page}: {', '.join(VIEWS)} and print: {len(wrong)} faults; pictures in {options.out}")
            for text in wrong:
                print(f"  {text}")
        browser.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
