"""Convert: a GPT-NeoX checkpoint, optimizer state too, for Hugging Face and DeepSpeed."""

import argparse
import sys
from pathlib import Path
from typing import Any

from intervene.console import say
from intervene.errors import InterveneError

KEYS = {
    "checkpoint": "GPT-NeoX's folder global_stepN, with its zero_pp_rank files",
    "output": "the folder to make",
    "config": "the .yml that the model was trained with, where it is not beside the checkpoint",
    "weights": "fp32 (the master weights, the default) or half (the checkpoint's own precision)",
}
USAGE = "python -m pipelines.convert checkpoint=<folder> output=<folder>"


def read_arguments(words: list[str]) -> dict[str, str]:
    """Arguments `key=value` by key.

    Errors: InterveneError for a word that is none, a key that is unknown and one that is missing.
    """
    values = {"weights": "fp32"}
    for word in words:
        key, sign, value = word.partition("=")
        if key not in KEYS or not sign or not value:
            raise InterveneError(
                "it is no key=value with a key known here", word, f"use {', '.join(KEYS)}: {USAGE}"
            )
        values[key] = value
    for key in ("checkpoint", "output"):
        if key not in values:
            raise InterveneError("it is not set", key, USAGE)
    if values["weights"] not in ("fp32", "half"):
        raise InterveneError("it is neither", f"weights={values['weights']}", "use fp32 or half")
    return values


def summarise(report: dict[str, Any], output: Path) -> list[str]:
    """What a person wants to know of a conversion."""
    counter = "saved" if report["adam_step_was_saved"] else "not saved: reckoned"
    return [
        f"iteration {report['iteration']:,}, {report['skipped_steps']:,} skipped; "
        f"{report['precision']}, {report['layout']}, tensor parallel {report['tensor_parallel']}, "
        f"data parallel {report['data_parallel']}, ZeRO {report['zero_stage']} "
        f"({report['optimizer_format']})",
        f"{report['parameters']:,} parameters in {len(report['tensors']):,} tensors; every master "
        f"weight rounds to its weight; Adam's counter {report['adam_step']:,} ({counter})",
        f"weights and config.json in {output}; DeepSpeed's universal files in {output}/universal",
    ]


def main() -> int:
    """Run the conversion; the exit code."""
    parser = argparse.ArgumentParser(
        usage=USAGE,
        description=__doc__,
        epilog="; ".join(f"{key}= {meaning}" for key, meaning in KEYS.items()),
    )
    parser.add_argument("words", nargs="*", metavar="key=value")
    try:
        values = read_arguments(parser.parse_args().words)
        # Here, so that a mistyped key is told of at once.
        from intervene.training.neox.conversion import convert

        config = Path(values["config"]) if "config" in values else None
        output = Path(values["output"])
        report = convert(
            Path(values["checkpoint"]), output, config, half=values["weights"] == "half"
        )
    except InterveneError as problem:
        say(f"error: {problem}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; nothing was left, and the same command starts again")
        return 130
    for line in summarise(report, output):
        say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
