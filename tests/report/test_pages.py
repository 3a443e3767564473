"""What a report says, and that it says nothing else than the tables; and that it needs nothing beside itself."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from drgan_lib import cli
from drgan_lib.files import read_json, write_json
from drgan_lib.metric import Metric, format_number
from drgan_lib.quantify import measure_images
from drgan_lib.report import report_measurement, report_run
from drgan_lib.report.page import with_clauses
from tests.quantify.test_measure import Threshold, as_image, draw

MOST_BYTES = 5_000_000
RUNS, BOTH = ("run",), ("run", "measured")


class Parsed(HTMLParser):
    """A page as (tag, attributes) in order, and its visible text; void elements and all others are balanced."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, path: Path):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = re.sub(r"\s+", " ", " ".join(self.words))
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data.strip())

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture
def page(request) -> tuple[Path, Parsed]:
    """Folder and page of the fixture that the test names."""
    place = request.getfixturevalue(request.param)
    folder = place[0] if isinstance(place, tuple) else place
    return folder, Parsed(folder / "report.html")


@pytest.mark.parametrize("page", BOTH, indirect=True)
def test_a_page_needs_nothing_beside_itself(page):
    folder, parsed = page
    path = folder / "report.html"
    assert path.stat().st_size < MOST_BYTES
    assert not {"iframe", "object", "embed", "base"} & {tag for tag, _ in parsed.elements}
    assert all(source.startswith("data:") for source in parsed.values("src"))
    ids = parsed.values("id")
    assert len(set(ids)) == len(ids)
    for name in ("href", "xlink:href"):
        for target in parsed.values(name):
            if target.startswith("#"):
                assert target[1:] in ids
            elif not target.startswith("data:"):
                assert (folder / target.replace("%20", " ")).is_file(), "links are relative, to files that are there"
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttp", path.read_text())


@pytest.mark.parametrize("page", BOTH, indirect=True)
def test_a_page_has_its_parts_in_order(page):
    _, parsed = page
    heads = [attributes["id"] for tag, attributes in parsed.elements if tag == "h2"]
    parts = ["overlays", "sizes", "pairs", "lights", "metrics", "made", "files", "cite"]
    assert heads == [name for name in parts if name in heads]
    assert set(parts) - set(heads) <= {"pairs"}
    assert all(attributes.get("alt") for tag, attributes in parsed.elements if tag == "img")
    assert "10.1038/s41524-025-01702-6" in parsed.text


@pytest.mark.parametrize("page", RUNS, indirect=True)
def test_the_numbers_are_those_of_results_and_tables(page):
    folder, parsed = page
    metrics = {name: Metric(**stored) for name, stored in read_json(folder / "results.json")["metrics"].items()}
    rows = pd.read_csv(folder / "quantification/distribution.csv", index_col=["size", "source", "figure"])
    rows = rows.loc["equivalent_diameter_nm"]
    n = rows.loc[("border_core", "n"), "value"]
    masks = format_number(metrics["d50_nm_true"].value)
    assert f"D50 {metrics['d50_nm']}, from {n:.0f} particles; the masks say {masks}; too few for 5 %." in parsed.text
    words = {"true": "masks", "border_core": "predictions, border-core", "plain": "predictions, plain"}
    for source, word in words.items():
        of = f"{word}, {rows.loc[(source, 'n'), 'value']:.0f} particles"
        for percentile in ("d10", "d50", "d90"):
            value, low, high, needed = rows.loc[(source, percentile), ["value", "low", "high", "n_needed"]]
            said = f"{of} {percentile.upper()} {value:.3g} nm {low:.3g} to {high:.3g} nm {needed:.0f}"
            assert said in parsed.text
    for name, metric in metrics.items():
        assert re.search(rf"{name} {re.escape(str(metric))} {metric.split} ?{metric.n}", parsed.text), name


@pytest.mark.parametrize("page", RUNS, indirect=True)
def test_overlays_say_what_was_found_wrong_and_missed(page):
    _, parsed = page
    assert "first: 24 particles found, 0 wrong, 1 missed." in parsed.text
    assert "second: 25 particles found, 0 wrong, 0 missed." in parsed.text
    assert parsed.text.count("50 nm") >= 2, "a quarter of 150 px of 2 nm is 75 nm"


@pytest.mark.parametrize("page", RUNS, indirect=True)
def test_real_stands_beside_synthetic(page):
    _, parsed = page
    alts = [attributes["alt"] for tag, attributes in parsed.elements if tag == "img"]
    assert alts == [
        *(f"Training patches patch{k}" for k in (0, 1, 2, 4, 5, 7)),
        *(f"Synthetic images {k:05d}" for k in range(3)),
    ]


@pytest.mark.parametrize("page", RUNS, indirect=True)
def test_lights_have_a_word_and_their_thresholds(page):
    _, parsed = page
    for said in (
        "▲ look closer Synthetic images accepted: 30 % of 20 attempts were kept. Threshold: good from 50 %",
        "▲ look closer Learned parameters at their bounds: 1 of 2: roughness.",
        "▲ look closer Pixel size against the training images: 2 nm, a factor of 1.33 from 1.5 nm.",
        "● good Error of the particle count: 5 %, by the masks of 2 images.",
    ):
        assert said in parsed.text


@pytest.mark.parametrize("page", RUNS, indirect=True)
def test_how_it_was_made_is_told_but_not_where(page):
    folder, parsed = page
    assert "gan 30 s 300 MiB abc1234" in parsed.text
    assert parsed.text.count("python 3.11.0") == 1
    assert "licence: CC BY-NC-ND 4.0." in parsed.text
    assert "/home/me" not in (folder / "report.html").read_text()


def test_each_clause_is_listed_once_and_all_definitions_can_be_put_together(run):
    metrics = {name: Metric(**stored) for name, stored in read_json(run / "results.json")["metrics"].items()}
    rows, clauses = with_clauses(metrics)
    assert len(set(clauses)) == len(clauses)
    for name, metric, numbers in rows:
        assert "; ".join(clauses[number - 1] for number in numbers) == metrics[name].definition == metric.definition
    text = (run / "report.html").read_text()
    assert text.count("instances on the border count") == 1
    assert text.count("border-core &amp; &lt;better&gt;") == 1, "text is no markup"


def test_a_run_without_some_stages_says_so(run, tmp_path):
    results = read_json(run / "results.json")
    write_json(tmp_path / "run.json", read_json(run / "run.json"))
    write_json(tmp_path / "results.json", results | {"stages": {}, "metrics": {}})
    parsed = Parsed(report_run(tmp_path))
    assert "No sizes yet: the stage quantification has not finished." in parsed.text
    assert parsed.text.count("○ not known") == 4
    assert "overlays" not in parsed.values("id")


def test_the_command_prints_the_table_and_the_place_of_the_page(run, capsys):
    assert cli.main(["report", str(run)]) == 0
    out = capsys.readouterr().out
    assert "border_core_pq" in out
    assert out.endswith(f"report: {run / 'report.html'}\n")


def test_a_folder_without_results_is_refused(tmp_path, measured):
    with pytest.raises(FileNotFoundError, match=r"results\.json"):
        report_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="folder of a measurement"):
        report_measurement(tmp_path, measured[1])
    assert not list(tmp_path.iterdir())


def test_a_measurement_has_the_same_page(measured):
    out, found = measured
    parsed = Parsed(out / "report.html")
    d = found.distributions["equivalent_diameter"]
    assert f"D50 {d.metrics['d50']}, from {d.n} particles; too few for 5 %." in parsed.text
    table = pd.read_csv(out / "distribution.csv", index_col=["size", "figure"]).loc["equivalent_diameter_nm"]
    assert (
        f"these images, {table.loc['n', 'value']:.0f} particles D50 {table.loc['d50', 'value']:.3g} nm" in parsed.text
    )
    tables = [pd.read_csv(out / name / "particles.csv") for name in ("a b", "c")]
    for name, of in zip(("a b", "c"), tables, strict=True):
        count = ~of["touches_border"] & (of["area_px2"] >= 50)
        assert f"{name}: {count.sum()} particles count, {(~count).sum()} do not." in parsed.text
    assert "■ poor Pixel size against the training images: 4 nm, a factor of 2 from 2 nm." in parsed.text
    assert "○ not known Error of the particle count: no masks to count by." in parsed.text
    assert "a b/particles.csv" in parsed.text
    assert "my images" not in (out / "report.html").read_text(), "where the images lie is nobody's business"
    for line in found.lines():
        assert line[1:] in parsed.text


def test_images_that_are_gone_leave_their_outlines(measured, tmp_path):
    out = shutil.copytree(measured[0], tmp_path / "out")
    record = read_json(out / "measurement.json")
    moved = {name: about | {"file": str(tmp_path / "gone.png")} for name, about in record["images"].items()}
    write_json(out / "measurement.json", record | {"images": moved})
    parsed = Parsed(report_measurement(out, measured[1]))
    assert parsed.text.count("the image is no longer where it was") == 2


@pytest.mark.parametrize(
    ("radius", "said"),
    [(9, "from 1 particle; too few for 5 %."), (2, "No particle counts: none was found, or all are on the border")],
)
def test_one_particle_and_none_are_said(radius, said, tmp_path):
    Image.fromarray(as_image(draw((60, 60), [(30, 30, radius)]))).save(tmp_path / "a.png")
    found = measure_images(tmp_path / "a.png", Threshold(), tmp_path / "out", log=lambda line: None)
    parsed = Parsed(report_measurement(tmp_path / "out", found))
    assert said in parsed.text
    assert "none, too few particles not known" in parsed.text
    assert "a: " in parsed.text
    assert "the pixel size is not known" in parsed.text
