"""Sections of report.md on where its figures come from: the language-model check, word vectors, the dumps."""

from collections.abc import Mapping
from typing import Any

from pipeline.formats.manifest import seed_groups
from pipeline.report import controls
from pipeline.report.markdown import Cell, escaped, section, table, words
from pipeline.report.numbers import fixed
from pipeline.report.sentences import listed

Manifest = Mapping[str, Any]


def warnings(manifests: Mapping[str, Manifest]) -> list[str]:
    """A warning for each trained model that fails the language-model check."""
    lines = []
    for name, manifest in manifests.items():
        gate = manifest["gate"]
        if gate is None or gate["passed"] or controls.is_random(manifest):
            continue
        unigram = min(gate["unigram_byte"], gate["unigram_token"])
        cause = "Either it is untrained, or its tokenizer is not the one it was trained with."
        if control := controls.of_model(manifest):
            cause = f"It is a control: {control}."
        bits = f"It needs {fixed(gate['bits_per_byte'], 2)} bits per byte, a unigram model {fixed(unigram, 2)}."
        lines += [
            f"> **Warning: {escaped(name)} fails the language-model check.** {bits} {cause} What its layers show here "
            "is not language understanding.",
            "",
        ]
    return lines


def untrained(manifests: Mapping[str, Manifest]) -> list[str]:
    """A line on the models with random weights that fail it, as they should."""
    failed = [
        f"**{escaped(name)}**"
        for name, manifest in manifests.items()
        if controls.is_random(manifest) and manifest["gate"] is not None and not manifest["gate"]["passed"]
    ]
    if not failed:
        return []
    have, whose = ("has", "its") if len(failed) == 1 else ("have", "their")
    fail = "fails" if len(failed) == 1 else "fail"
    return [
        f"> {listed(failed)} {have} random weights and, as expected, {fail} the language-model check: what {whose} "
        "layers show is not language understanding.",
        "",
    ]


def readouts(manifests: Mapping[str, Manifest]) -> list[str]:
    """A line on the models of which something else than hidden layers was read."""
    others = {name: manifest["readout"] for name, manifest in manifests.items() if manifest["readout"] != "plain"}
    if not others:
        return []
    read = [f"**{escaped(name)}** is read as {words(readout)}" for name, readout in others.items()]
    return [f"> Not all curves are of plain hidden layers: {listed(read)}.", ""]


def seeds(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """{model: what models that differ in their seed alone are called together}, after the one with the shortest name:
    `untrained (3 seeds)`.
    """
    groups = seed_groups(manifests)
    return {model: f"{min(models, key=len)} ({len(models)} seeds)" for model, models in groups.items()}


def language_model_check(manifests: Mapping[str, Manifest]) -> list[str]:
    """Bits per byte of each model, beside two models that know only frequencies."""
    if not manifests:
        return []
    header = ["model", "better than a unigram model", "bits per byte", "unigram of bytes", "unigram of its tokens"]
    header += ["sentences", "truncated", "tokens"]
    cells: list[list[Cell]] = []
    for name, manifest in manifests.items():
        figures = ["", "", ""]
        if gate := manifest["gate"]:
            figures = [fixed(gate[key], 2) for key in ("bits_per_byte", "unigram_byte", "unigram_token")]
        counts = [manifest[key] for key in ("sentences", "truncated", "tokens")]
        cells.append([escaped(name), _verdict(manifest), *figures, *counts])
    lead = "Bits per byte of text: the fewer, the better the model predicts it."
    return section("Language-model check", [lead], table(header, cells, text=header[1:2]))


def _verdict(manifest: Manifest) -> str:
    control = controls.of_model(manifest)
    if manifest["gate"] is not None and not manifest["gate"]["passed"] and not control:
        return "**no: check the tokenizer**"
    verdict = "not measured" if manifest["gate"] is None else "yes" if manifest["gate"]["passed"] else "no"
    return f"{verdict} ({control})" if control else verdict


def coverage(baselines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How many words the word vectors of a baseline know."""
    cells: list[list[Cell]] = [
        [escaped(name), info["dim"], fixed(info["coverage"]), info["sentences_without_a_known_word"]]
        for name, info in baselines.items()
        if "coverage" in info
    ]
    header = ["baseline", "dimensions", "share of words known", "sentences without a known word"]
    return section("Coverage of word vectors", table(header, cells)) if cells else []


def sentence_encoders(baselines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How each sentence encoder makes a vector of a sentence."""
    cells: list[list[Cell]] = [
        [
            escaped(name),
            escaped(", ".join(info["modules"])),
            info["dim"],
            escaped(info["prompt"] or "none"),
            info["max_tokens"] or "no limit",
            "not counted" if info["truncated"] is None else info["truncated"],
            at_commit(info["source"]),
        ]
        for name, info in baselines.items()
        if "modules" in info
    ]
    header = ["sentence encoder", "made of", "dimensions", "prompt", "tokens at most", "sentences cut", "from the hub"]
    text = ("made of", "prompt", "from the hub")
    return section("Sentence encoders", table(header, cells, text=text)) if cells else []


def at_commit(source: Mapping[str, str] | None) -> str:
    """A repository of the hub and a commit of it, shortened; nothing for what is not of the hub."""
    return "" if source is None else f"{escaped(source['hub'])} at {source['commit'][:12]}"


def provenance(manifests: Mapping[str, Manifest], info: Mapping[str, Any]) -> list[str]:
    """Which pairs these are, and what determined each dump, shortened; data/manifests/MODEL.json has all of it."""
    pairs = [f"The pairs are those of {at_commit(info['source'])} on the hub."] if info["source"] else []
    return [*section("Where the pairs come from", pairs), *dumps(manifests)] if pairs else dumps(manifests)


def _tokenizer(fingerprint: Mapping[str, Any]) -> str:
    kind, seed = escaped(fingerprint["kind"]), fingerprint.get("shuffle_words")
    return kind if seed is None else f"{kind}, words shuffled with seed {seed}"


def dumps(manifests: Mapping[str, Manifest]) -> list[str]:
    """What determined the dump of each model."""
    if not manifests:
        return []
    cells: list[list[Cell]] = []
    for name, manifest in manifests.items():
        parts, sources = manifest["parts"], manifest["sources"]
        weights = f"sha256 {parts['weights']['sha256'][:12]}" if not controls.is_random(manifest) else None
        cells.append(
            [
                escaped(name),
                weights or f"random, seed {parts['weights']['random']}",
                at_commit(sources["weights"]),
                _tokenizer(parts["tokens"]["tokenizer"]),
                at_commit(sources["tokenizer"]),
                f"{parts['dtype']}, stored as {manifest['store']}",
                f"{manifest['keep']} of {len(manifest['layers'])} layers",
                "" if manifest["readout"] == "plain" else words(manifest["readout"]),
                ", ".join(f"{package} {version}" for package, version in parts["versions"].items()),
                manifest["key"],
            ]
        )
    header = ["model", "weights", "weights from the hub", "tokenizer", "tokenizer from the hub"]
    header += ["types", "kept", "readout", "versions", "key of the dump"]
    return section("Where the states come from", table(header, cells, text=header))
