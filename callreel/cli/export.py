"""The command that exports recordings to a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from callreel.audio.formats import FORMATS
from callreel.bootstrap import open_workshop
from callreel.cli.options import data_option, plain_errors, settings_of
from callreel.db.call_filter import CallFilter
from callreel.errors import Unavailable
from callreel.flows.export import Exporter, ExportOrder
from callreel.flows.manifest import NAME, Manifest
from callreel.model import AudioSpec, OutputChannels, RecordingId
from callreel.web import parameters

NOT_EXPORTED = 6
"""The exit code where some recording could not be exported."""


@click.command("export")
@data_option
@click.argument("recordings", nargs=-1, metavar="[RECORDING]...")
@click.option("--since", "--from", "since", help="Calls started then or later.")
@click.option("--to", help="Calls started before then.")
@click.option("--party", help="A number on either side: whole, 0161* or *0192.")
@click.option("--ext", help="The extension, whole.")
@click.option("--dir", "direction", help="inbound, outbound, internal or unknown.")
@click.option("--datasource", help="The feed they came from.")
@click.option("--mask/--no-mask", default=None, help="With or without anything masked.")
@click.option("--everything", is_flag=True, help="All recordings.")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write to; made if missing. Run again, it goes on where it was.",
)
@click.option(
    "-f", "--format", "audio_format", type=click.Choice(tuple(FORMATS)), default="wav",
    show_default=True, help="Of the sound.",
)  # fmt: skip
@click.option(
    "--channel", type=click.Choice([each.value for each in OutputChannels]), default="both",
    show_default=True,
)  # fmt: skip
@click.option(
    "--proof/--no-proof",
    default=True,
    show_default=True,
    help="Prove of each that it is masked; without, it takes far less time.",
)
@click.option("--dry-run", is_flag=True, help="Tell how much it would be and write nothing.")
@plain_errors
def export_command(  # noqa: PLR0913  # one for each option
    data_dir: Path,
    recordings: tuple[str, ...],
    folder: Path,
    audio_format: str,
    channel: str,
    *,
    everything: bool,
    proof: bool,
    dry_run: bool,
    mask: bool | None,
    direction: str | None,
    **texts: str | None,
) -> None:
    """Write each RECORDING, or those of the calls that the options find, masked, to a folder.

    With them go their proofs, a manifest as JSON lines and as a table, and SHA256SUMS.
    """
    given = {name: value for name, value in {**texts, "dir": direction}.items() if value}
    if mask is not None:
        given["mask"] = "yes" if mask else "no"
    if sum((bool(recordings), bool(given), everything)) != 1:
        raise click.UsageError("Name recordings, or say which calls, or give --everything.")
    wanted = parameters.call_filter(parameters.read(given, parameters.CALLS))
    spec = AudioSpec(audio_format, OutputChannels(channel))
    opened = open_workshop(settings_of(data_dir))
    try:
        exporter = opened.exporter
        chosen = _chosen(exporter, recordings, wanted)
        if dry_run:
            _tell_size(exporter, chosen, spec)
            return
        failed = _export(exporter, chosen, folder, ExportOrder(spec, proof, "command"))
    finally:
        opened.close()
    if failed:
        click.echo(f"callreel: {failed} not exported; {folder / NAME} says why.", err=True)
        sys.exit(NOT_EXPORTED)


def _chosen(
    exporter: Exporter, recordings: tuple[str, ...], wanted: CallFilter
) -> Iterator[RecordingId]:
    if recordings:
        return iter([RecordingId(each) for each in dict.fromkeys(recordings)])
    return exporter.recordings_of(wanted)


def _tell_size(exporter: Exporter, chosen: Iterator[RecordingId], spec: AudioSpec) -> None:
    size = exporter.size(chosen, spec)
    told = f"{size.recordings} recordings, {size.bytes} bytes"
    if size.unknown:
        told += f" and {size.unknown} whose size is known once they are made"
    if size.refused:
        told += f"; {size.refused} are not served now"
    click.echo(told)


def _export(
    exporter: Exporter, chosen: Iterator[RecordingId], folder: Path, order: ExportOrder
) -> int:
    """Write them; gives how many could not be."""
    failed = 0
    try:
        # Masked or not, it is other people talking.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Manifest(folder) as manifest:
            for recording_id in chosen:
                item = exporter.export(recording_id, order, folder, manifest)
                if item["error"] is None:
                    click.echo(f"{item['sha256']}  {item['file']}")
                else:
                    failed += 1
                    click.echo(f"{recording_id}: NOT exported: {item['error']}", err=True)
            manifest.finish()
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be written: {error.strerror}; run it again, it goes on where it was."
        ) from error
    return failed
