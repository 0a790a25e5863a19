"""The page in a real browser: headless Chromium, driven by selenium."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from nets import Play
from nets.report import write_report
from nets.report.contents import gather
from nets.report.sections import SECTIONS
from nets.runs.canonical import address
from nets.runs.execution import execute
from nets.runs.folder import RunFolder
from nets.runs.jobs import Keeping, jobs
from nets.runs.results import BadRunWarning
from nets.runs.sweep import plays_of

#: What nobody may see run or stand in the page as markup.
ATTACK = "</script><script>window.attacked=1</script><img src=x onerror='window.attacked=1'>"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("runs")
    grid = {"epochs": 2, "method": ["concave", "random"], "density": [0.5, 0.2], "seed": [0, 1]}
    for job in jobs(plays_of(grid)):
        execute(job, Keeping(made, keep_network=False))
    failed = RunFolder(made / address(Play(seed=99)))
    failed.path.mkdir()
    failed.open(Play(seed=99))
    failed.write_failure(f"no luck {ATTACK}", "")
    return made


def forge(root, play, **changes):
    """Store a row that holds what somebody made up, with a right sha256."""
    example = next(row for row in gather(root).rows if row["method"] == "concave")
    folder = RunFolder(root / address(play))
    folder.path.mkdir(exist_ok=True)
    folder.open(play)
    row = {key: value for key, value in example.items() if key != "run"}
    folder.write_result({**row, "seed": play.seed, **changes})


@pytest.fixture(scope="module")
def hostile(root, tmp_path_factory):
    """The same runs, and one whose every text is an attack."""
    copy = tmp_path_factory.mktemp("hostile") / f"runs{ATTACK[:8].replace('/', '')}"
    shutil.copytree(root, copy)
    forge(
        copy,
        Play(seed=7),
        method=f"m{ATTACK}",
        penalty=ATTACK,
        data=ATTACK,
        model=ATTACK,
        control="",
        options={ATTACK: ATTACK},
        layer_densities={ATTACK: 0.5},
    )
    details = copy / address(Play(seed=7)) / "details.json"
    details.write_text(
        json.dumps({"trace": {"step": [1, 2], "lam": [0.1, 0.2], "mean": [1, 0.5], ATTACK: [1]}})
    )
    return copy


class Reader(HTMLParser):
    """Collect the elements and attributes of a page."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.attributes = []

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += attributes


def test_the_page_is_whole_and_self_contained(root, tmp_path):
    path = write_report(root, tmp_path / "report.html")
    text = path.read_text()
    reader = Reader()
    reader.feed(text)
    for heading in (
        "Accuracy against density",
        "Matching tickets",
        "Search cost",
        "Layer-wise densities",
        "Relaxed masks over time",
        "The trace of λ",
        "Sanity checks",
        "All runs",
    ):
        assert f"<h2>{heading}</h2>" in text
    assert not re.search(r"https?://", text)
    assert {value for name, value in reader.attributes if name == "src"} == set()
    links = {value for name, value in reader.attributes if name == "href"}
    assert all(link.startswith(("#", "data:")) for link in links)
    assert reader.elements.count("script") == 2
    assert not any(name.startswith("on") or name == "style" for name, _ in reader.attributes)
    assert "1 runs failed" in text


def test_numbers_of_the_page_are_those_of_the_runs(root):
    told = gather(root)
    assert told.states == {"finished": 10, "failed": 1}
    (panel,) = told.panels
    assert [series.label for series in panel.series] == ["concave log(0.02)", "random"]
    assert set(panel.dense) == {0, 1}
    rows = {(row["method"], row["asked_density"], row["seed"]): row for row in told.rows}
    for series in panel.series:
        for density in (0.5, 0.2):
            method = series.label.split()[0]
            expected = {seed: rows[method, density, seed]["test_accuracy"] for seed in (0, 1)}
            assert series.scores(density) == expected


def test_runs_of_other_settings_are_not_mixed(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    forge(copy, Play(seed=5), epochs=77)
    told = gather(copy)
    titles = sorted(panel.title for panel in told.panels)
    assert len(titles) == 2
    assert "epochs 77" in titles[1]
    assert told.panels[1].dense == {}


def test_granularities_have_panels_of_their_own_beside_the_same_dense_network(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    for folder in copy.iterdir():  # as runs were stored before there were granularities
        if (folder / "result.json").exists():
            row = RunFolder(folder).result()
            RunFolder(folder).write_result({k: v for k, v in row.items() if k not in ("run", "granularity")})
    forge(copy, Play(seed=1, granularity="2:4"), granularity="2:4")
    panels = gather(copy).panels
    assert sorted(panel.title.rpartition(", ")[2] for panel in panels) == [
        "granularity 2:4",
        "granularity weight",
    ]
    assert all(set(panel.dense) == {0, 1} for panel in panels)


def test_damaged_runs_are_left_out_and_told(root, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    forge(copy, Play(seed=8), test_accuracy="high")
    path = copy / address(Play(epochs=2, method="random", density=0.5)) / "result.json"
    path.write_text(path.read_text().replace('"test_accuracy": 0', '"test_accuracy": 1'))
    with pytest.warns(BadRunWarning):
        text = write_report(copy, tmp_path / "report.html").read_text()
    assert "2 runs were left out because their files are damaged or changed" in text


def test_an_empty_folder_and_none(tmp_path):
    (tmp_path / "runs").mkdir()
    good = tmp_path / "report.html"
    good.write_text("a good page")
    with pytest.raises(ValueError, match="there is no finished run in"):
        write_report(tmp_path / "runs", good)
    assert good.read_text() == "a good page"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_report(tmp_path / "none", tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_what_files_say_is_never_markup(hostile, tmp_path):
    text = write_report(hostile, tmp_path / "report.html", title=ATTACK).read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.elements.count("script") == 2
    assert "img" not in reader.elements
    assert "onerror" not in {name for name, _ in reader.attributes}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no Chromium with chromedriver here: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
        "--window-size=1200,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver, log_output=subprocess.DEVNULL))
    yield started
    started.quit()


def opened(browser, path):
    """Open the page; fail on any console message and on any request but that for the page itself."""
    browser.get("about:blank")  # whatever Chromium itself opens when it starts is not the page's doing
    for log in ("performance", "browser"):
        browser.get_log(log)
    browser.get(path.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith("data:")] == [path.as_uri()]
    assert browser.get_log("browser") == []
    return browser


def column(browser, number):
    script = (
        "return [...document.querySelectorAll('#table tbody tr')].map(r => r.cells[arguments[0]].textContent)"
    )
    return browser.execute_script(script, number)


def test_sorting_filtering_and_silence_in_a_browser(root, tmp_path, browser):
    page = opened(browser, write_report(root, tmp_path / "report.html"))
    by = "css selector"
    assert page.title == f"Lottery tickets in {root.name}"
    shown = page.find_elements(by, "section h2")
    assert len(SECTIONS) // 2 < len(shown) <= len(SECTIONS) + 1
    assert "Certificates of layers" not in [one.text for one in shown]  # no layer-wise run is there
    assert page.find_element(by, "#section-0 .legend li").text == "dense"
    charts = page.find_elements(by, "main svg[role=img]")
    assert len(charts) >= 5
    assert all(chart.is_displayed() and chart.size["height"] > 100 for chart in charts)
    assert len(page.find_elements(by, "#section-0 .bar")) == 4
    heads = page.find_elements(by, "#table th")
    names = [head.text for head in heads]
    accuracy, method, density = (names.index(n) for n in ("accuracy (%)", "method", "density (%)"))
    assert len(column(page, 0)) == 10

    heads[accuracy].find_element(by, "button").click()
    ascending = [float(value) for value in column(page, accuracy)]
    assert ascending == sorted(ascending)
    assert heads[accuracy].get_attribute("aria-sort") == "ascending"
    heads[accuracy].find_element(by, "button").click()
    assert [float(value) for value in column(page, accuracy)] == ascending[::-1]
    assert heads[accuracy].get_attribute("aria-sort") == "descending"
    heads[method].find_element(by, "button").click()
    assert column(page, method) == ["concave"] * 4 + ["dense"] * 2 + ["random"] * 4
    assert heads[accuracy].get_attribute("aria-sort") == "none"

    field = page.find_element(by, "#filter")
    for text, expected in (
        ("method=random", 4),
        ("method=random density<30", 2),
        ("density<=20 seed=1", 2),
        ("accuracy>=0 method!=dense", 8),
        ("CONCAVE", 4),
        ("nothing like it", 0),
        ("", 10),
    ):
        field.clear()
        field.send_keys(text + " ")
        assert len(column(page, 0)) == expected, text
        assert page.find_element(by, "#count").text == f"{expected} runs"
    field.clear()
    field.send_keys("density<30")
    assert set(column(page, density)) == {"20"}
    assert page.get_log("browser") == []


def test_many_runs_come_in_pages(root, tmp_path, browser):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    for seed in range(100, 160):
        forge(copy, Play(seed=seed))
    page = opened(browser, write_report(copy, tmp_path / "report.html"))
    assert page.find_element("css selector", "#count").text == "70 runs"
    assert len(column(page, 0)) == 50
    first = set(column(page, 13))
    page.find_element("css selector", "#next").click()
    assert len(column(page, 0)) == 20
    assert not first & set(column(page, 13))
    assert not page.find_element("css selector", "#next").is_enabled()
    page.find_element("css selector", "#previous").click()
    assert set(column(page, 13)) == first


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light"), (1200, "dark")])
def test_nothing_overflows_and_text_can_be_read(root, tmp_path, browser, width, scheme):
    path = write_report(root, tmp_path / "report.html")
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        opened(browser, path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        colours = browser.execute_script(
            "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        )
        light = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in colours]
        assert abs(light[0] - light[1]) > 150
        assert (light[1] < 60) == (scheme == "dark")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_an_attack_in_the_files_does_nothing_in_a_browser(hostile, tmp_path, browser):
    page = opened(browser, write_report(hostile, tmp_path / "report.html", title=ATTACK))
    assert page.execute_script("return window.attacked") is None
    assert page.title == ATTACK
    assert ATTACK in column(page, 0)


def test_the_command(root, tmp_path, capsys):
    from nets.command_line import main

    with pytest.raises(SystemExit) as ended:
        main(["report", str(root), "-o", str(tmp_path / "r.html"), "--title", "My tickets"])
    assert not ended.value.code
    assert capsys.readouterr().out.strip() == str(tmp_path / "r.html")
    assert "<title>My tickets</title>" in (tmp_path / "r.html").read_text()
