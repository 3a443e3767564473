"""The page in a browser: no accessibility violation, in light and dark."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from importlib.resources import files

import pytest

AXE = files("axe_core_python") / "axe.min.js"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ASK = """
document.querySelectorAll("details").forEach((part) => (part.open = true));
axe.run(document).then((found) => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, passes = found.passes.length;
  const violations = found.violations.map((rule) => [rule.id, rule.nodes.map((node) => node.html)]);
  document.body.textContent = "ANSWER" + JSON.stringify({ dark, passes, violations }) + "END";
});
"""


@pytest.mark.skipif(BROWSER is None, reason="no browser: install chromium")
@pytest.mark.parametrize("name", ["run", "measured"])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation(name, dark, request, tmp_path):
    place = request.getfixturevalue(name)
    folder = place[0] if isinstance(place, tuple) else place
    text, scripts = (folder / "report.html").read_text(), f"<script>{AXE.read_text()}</script><script>{ASK}</script>"
    (tmp_path / "page.html").write_text(text.replace("</body>", f"{scripts}</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=30000", f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    command += ["--dump-dom", (tmp_path / "page.html").as_uri()]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(unescape(re.search(r"ANSWER(.*)END", answer.stdout, re.DOTALL)[1]))
    assert found["dark"] == dark
    assert found["passes"] > 20
    assert not found["violations"]
