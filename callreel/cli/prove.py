"""The command that proves a mask."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from callreel.access.keys import load_key_file
from callreel.bootstrap import open_workshop
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.errors import BadInput
from callreel.flows.proof_page import page
from callreel.flows.prove import PROVEN, check
from callreel.model import RecordingId

NOT_PROVEN = 6
"""The exit code where a report does not prove what it should."""


@click.command("prove")
@data_option
@click.argument("recordings", nargs=-1, metavar="[RECORDING]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the reports; made where it is missing.",
)
@click.option(
    "--with-source-hash",
    is_flag=True,
    help="Put the SHA-256 of the stored bytes in: never pass such a report on.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Check that a report was made here and is unchanged.",
)
@plain_errors
def prove_command(
    data_dir: Path,
    recordings: tuple[str, ...],
    output: Path,
    with_source_hash: bool,
    checked: Path | None,
) -> None:
    """Decode what is served of each RECORDING (its id), and write down that it is masked.

    For each there is a report as JSON and as a page for people.
    """
    settings = settings_of(data_dir)
    if (checked is None) == (not recordings):
        raise click.UsageError("Name recordings to prove, or a report with --check.")
    if checked is not None:
        document = _read(checked)
        check(document, load_key_file(settings.key_file))
        click.echo(f"{checked}: made here, and unchanged; it says: {document['verdict']}.")
        if document["verdict"] != PROVEN:
            sys.exit(NOT_PROVEN)
        return
    output.mkdir(parents=True, exist_ok=True)
    all_proven = True
    opened = open_workshop(settings)
    try:
        for recording in recordings:
            proof = opened.prover.prove(
                RecordingId(recording), actor="command", with_hash=with_source_hash
            )
            path = output / f"proof-{recording}.json"
            path.write_text(json.dumps(proof.document, indent=1) + "\n", encoding="utf-8")
            path.with_suffix(".html").write_text(page(proof.document), encoding="utf-8")
            verdict = "masked wherever it is marked" if proof.proven else "NOT PROVEN"
            click.echo(f"{recording}: {verdict}; {path}")
            all_proven &= proof.proven
    finally:
        opened.close()
    if not all_proven:
        sys.exit(NOT_PROVEN)


def _read(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read as a report: {error}.") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path}: is not a report.")
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The members of an object, as a report has them: a person would read the one, we the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it names a member more than once")
    return found
