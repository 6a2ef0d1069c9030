"""DVC's page of plots, made to open without a network."""

import re

from dvc_render.html import render_html
from dvc_render.vega import VegaRenderer

from pipeline.command.offline import offline


def test_vega_is_in_the_page_and_nothing_of_it_comes_from_a_network(tmp_path):
    points = [{"layer": layer, "rho": -0.1 * layer, "rev": "HEAD"} for layer in range(3)]
    page = tmp_path / "index.html"
    render_html([VegaRenderer(points, "curve", x="layer", y="rho")], page)
    scripts = re.compile(r'<script[^>]*src="https?://')
    before = page.read_text()
    assert len(scripts.findall(before)) == 3
    offline(page)
    after = page.read_text()
    assert not scripts.search(after)
    assert after.count("window.vegaEmbed") == 1
    assert after.index("window.vegaEmbed") < after.index("vegaEmbed('#")  # what is defined before it is called
    assert '<meta charset="utf-8">' in after
    assert before.split("<body>")[1] == after.split("<body>")[-1]  # the plots themselves
    offline(page)
    assert page.read_text() == after
