"""The dataset card: a README with the Hub's YAML header, then the contents of the dataset and how it was made."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader

from attar.core.errors import DataError
from attar.outputs.dataset.citations import arxiv_id, bibtex
from attar.outputs.dataset.summary import languages

_SIZE_CATEGORIES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_COLUMN_MEANINGS = {
    "id": "the row's id, unique in its configuration",
    "messages": "the conversation; its last turn is the answer",
    "prompt": "the conversation before the answer",
    "chosen": "the better answer, as one assistant turn",
    "rejected": "the worse answer, as one assistant turn",
    "instruction": "the text of the last user turn",
    "response": "the text of the answer",
    "reasoning": "the reasoning of the model before its answer",
    "origin": "the stage, the model, the seed and the parent rows of the row",
    "parent": "the row that this one was made from",
    "meta_system": "the system turn that the row was sampled with; it is not part of the conversation",
    "temperature": "the temperature at which the instruction was sampled",
    "top_p": "the top_p at which the instruction was sampled",
    "reward": "the reward model's score of the answer",
    "response_tokens": "tokens of the answer",
    "prompt_chars": "characters of the instruction",
    "response_chars": "characters of the answer",
}
_SAMPLING = ("temperature", "top_p", "max_tokens", "n", "mix", "seed")


def check_license(license_id: str | None) -> str | None:
    """Return the licence if it is an identifier as the Hub writes it, else raise."""
    if license_id is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license_id):
        raise DataError(f"license {license_id!r} is no identifier: write it as the Hub does, such as apache-2.0 or cc-by-4.0")
    return license_id


def card_text(facts: Mapping[str, Any]) -> str:
    """Render the README from the facts."""
    page = Environment(
        loader=PackageLoader("attar.outputs.dataset", "."), autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    page.filters |= {"cell": _cell, "code": _code, "number": _number, "plain": _describe_type, "time": _time}
    number = arxiv_id(facts["paper"])
    return page.get_template("card.md.jinja").render(
        facts,
        header=yaml.safe_dump(_header(facts), sort_keys=False, allow_unicode=True),
        total=sum(_row_count(config) for config in facts["configs"].values()),
        filters=[step for step in facts["lineage"] if step["dropped"] is not None],
        decontaminated=[step for step in facts["lineage"] if step["does"] == "decontamination"],
        asked=[_model_use(step) for step in facts["lineage"] if step["engine"]],
        models=sorted({step["engine"] for step in facts["lineage"] if step["engine"] and not step["trained"]}),
        spent={key: sum(step[key] for step in facts["lineage"]) for key in ("tokens_in", "tokens_out", "asked", "seconds")},
        costs=[step["cost"] for step in facts["lineage"] if step["cost"] is not None],
        meanings={
            name: [_describe_column(column) for column in config["columns"]] for name, config in facts["configs"].items()
        },
        run_file_text=yaml.safe_dump(facts["run_file"], sort_keys=False, allow_unicode=True, width=120).strip(),
        arxiv=number,
        citation=bibtex(number) if number else None,
    )


def _header(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The YAML header that the Hub reads."""
    configs = facts["configs"]
    language_counts: dict[str, int] = {}
    for config in configs.values():
        for code, count in config["labels"].get("language", {}).items():
            language_counts[code] = language_counts.get(code, 0) + count
    total = sum(_row_count(config) for config in configs.values())
    filled = {name: config for name, config in configs.items() if _row_count(config)}  # `datasets` cannot open empty ones
    header = {
        "license": facts["license"],
        "language": languages(language_counts) if language_counts else None,
        "pretty_name": facts["run"],
        "task_categories": ["text-generation"],
        "size_categories": [next((name for most, name in _SIZE_CATEGORIES if total < most), "10M<n<100M")],
        "tags": [
            *(["synthetic"] if facts["texts"]["written"] else []),
            "attar",
            *(["preference"] if any(c["form"] == "pairs" for c in configs.values()) else []),
        ],
        "configs": [_header_config(name, config, first=i == 0) for i, (name, config) in enumerate(filled.items())],
    }
    return {key: value for key, value in header.items() if value}


def _header_config(name: str, config: Mapping[str, Any], *, first: bool) -> dict[str, Any]:
    filled = {side: paths for side, paths in config["files"].items() if config["rows"][side]}
    files = [{"split": side, "path": paths[0] if len(paths) == 1 else paths} for side, paths in filled.items()]
    return {"config_name": name, **({"default": True} if first else {}), "data_files": files}


def _row_count(config: Mapping[str, Any]) -> int:
    return sum(config["rows"].values())


def _model_use(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step with its sampling options as text."""
    options = {key: value for key, value in step["knobs"].items() if key in _SAMPLING}
    return {**step, "sampling": ", ".join(f"{key}={value}" for key, value in options.items()) or "the stage's default"}


def _describe_column(column: Mapping[str, str]) -> dict[str, str]:
    known = _COLUMN_MEANINGS.get(column["column"])
    return {**column, "meaning": known or f"from step {column['step']}"}


def _cell(value: Any) -> str:
    """Escape a value for a cell of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _code(value: Any) -> str:
    """Format a value as inline code in a table cell, whatever characters it has."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return (
        f"{value:,.0f}"
        if value == round(value) and abs(value) < 1e15
        else f"{value:,.4g}"
        if abs(value) < 1000
        else f"{value:,.0f}"
    )


def _time(seconds: float) -> str:
    return (
        f"{seconds:.1f} seconds"
        if seconds < 100
        else f"{seconds / 60:.1f} minutes"
        if seconds < 6000
        else f"{seconds / 3600:.1f} hours"
    )


def _describe_type(kind: str) -> str:
    """A column's type in plain words."""
    words = {"String": "text", "Boolean": "true or false"}
    if kind in words:
        return words[kind]
    if kind.startswith(("List(Struct({'role'", "List(Struct({'content'")):
        return "turns"
    return "number" if re.match(r"U?Int|Float", kind) else kind.split("(")[0].lower()
