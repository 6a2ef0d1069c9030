"""The sentences of the page: what the pages in Markdown say, as HTML."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pipeline.claims.decide import CONTRADICTED, SUPPORTED, UNRESOLVED, UNTESTED
from pipeline.claims.judge import MIXED, main_rows, of_models
from pipeline.claims.paper import CLAIMS
from pipeline.formats.splits import chosen_on
from pipeline.page.study import Study
from pipeline.report import answer, controls, correlations, cost_rows, depth, diagnosis, methods, models, norms
from pipeline.report import claims as of_claims
from pipeline.report import cost as of_cost
from pipeline.report.markdown import visible
from pipeline.report.sentences import listed

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

SYMBOLS = {SUPPORTED: "✓", CONTRADICTED: "✗", UNRESOLVED: "?", MIXED: "≈", UNTESTED: "–"}
"""verdict -> its sign, which tells them apart without colour; the word stands beside it"""
MOST_MODELS = 30


@cache
def _renderer() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def html(lines: Iterable[str]) -> Markup:
    """Lines of our own Markdown, in which data are escaped, as HTML; tables scroll by themselves, by keyboard too."""
    text = _renderer().render("\n".join(lines))
    text = text.replace("<th>", '<th scope="col">').replace("<th style", '<th scope="col" style')
    text = text.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="table"><table>')
    return Markup(text.replace("</table>", "</table></div>"))


def warnings(study: Study) -> Markup:
    """What to beware of: pairs or models that are controls, models that fail the check, one token that dominates."""
    material = study.material
    lines = [*controls.of_pairs(material.info["control"]), *models.warnings(material.manifests)]
    lines += [*norms.warnings(material.scores.norms, material.manifests), *models.untrained(material.manifests)]
    return html([*lines, *answer.on_learned_poolings(material.table)])


def findings(study: Study, split: str) -> Markup:
    """The answer on a split, in a list of at most three."""
    return html(answer.sections(study.material, study.method, split))


def pairs(study: Study, split: str) -> Markup:
    """What the pairs of a split are, and what they can tell."""
    material = study.material
    return html([correlations.facts(material, split), "", *diagnosis.sections(material.table, study.method, split)])


def figures(study: Study, split: str) -> Markup:
    """The tables of report.md on a split."""
    lines = correlations.sections(study.material, study.method, split)
    return html(lines[4:])  # without the heading and the facts, which `pairs` has


def trends(study: Study, splits: Sequence[str], main: str) -> Markup:
    """Whether rho rises or falls with depth."""
    return html(depth.sections(study.material.table, splits, main)[2:])


def cost(study: Study, split: str) -> Markup:
    """What nothing beats, the cheapest first."""
    return html(of_cost.answer(cost_rows.rows(study.costs, study.material.table, split), split))


def verdicts(study: Study, split: str) -> list[dict[str, Any]]:
    """A row for each claim: {name, statement, paper, verdicts: [{symbol, verdict, models}]}."""
    if study.claims.is_empty():
        return []
    rows, found = main_rows(study.claims, split), of_models(study.claims, split)
    table: list[dict[str, Any]] = []
    for name, claim in CLAIMS.items():
        groups: dict[str, list[str]] = {}
        for model, verdict in found[name].items():
            groups.setdefault(verdict, []).append(visible(model))
        said: list[dict[str, str]] = []
        for verdict, names in groups.items():
            first = next(model for model, one in found[name].items() if one == verdict)
            detail = of_claims.agreement(rows.filter(claim=name, model=first)) if verdict == MIXED else ""
            said.append({"symbol": SYMBOLS[verdict], "verdict": verdict, "models": listed(names, MOST_MODELS)})
            said[-1]["detail"] = detail if len(names) == 1 else ""
        kind = "open" if name[0] in "QN" else "claim"
        table.append({"name": name, "kind": kind, "statement": claim.statement, "paper": claim.figures})
        table[-1]["verdicts"] = said
    return table


def provenance(study: Study) -> Markup:
    """Models and pairs: the language-model check, coverage, where weights and states come from."""
    material = study.material
    lines = [*models.language_model_check(material.manifests), *models.coverage(material.baselines)]
    lines += [*models.sentence_encoders(material.baselines), *models.provenance(material.manifests, material.info)]
    return html(line.replace("## ", "### ", 1) if line.startswith("## ") else line for line in lines)


def method(study: Study) -> Markup:
    """How to read the figures."""
    table = study.material.table
    decisions = bool(table["accuracy"].is_not_null().any())
    return html(methods.of_report(study.method, chosen_on(table["split"]), decisions)[2:])
