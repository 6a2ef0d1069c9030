"""DVC's page of plots, made to open without a network: Vega goes into it."""

import re
from pathlib import Path

import vl_convert

FROM_NETWORK = re.compile(r'<script src="https://[^"]*/vega[^"]*"></script>\s*')
HEAD = '<meta charset="utf-8">\n<style>img { max-width: 46vw; height: auto }</style>'
"""what DVC's page does not say: its encoding; and that two pictures fit beside each other"""


def offline(page: Path) -> None:
    """Put Vega, Vega-Lite and Vega-Embed, which vl-convert has, in the place of the links to them."""
    text = page.read_text(encoding="utf-8")
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    links = FROM_NETWORK.findall(text)
    if links:
        head, _, rest = text.partition(links[0])
        text = f"{head}{HEAD}\n<script>{bundle}</script>\n{FROM_NETWORK.sub('', rest)}"
    page.write_text(text, encoding="utf-8")
