"""The verbs of ``vidrnn store``: look at a feature store, check it, pack it and tidy it up."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.errors import ExitCode, StoreError
from vidrnn.names import original, quoted, writable

if TYPE_CHECKING:
    from vidrnn.store.feature_folder import FeatureFolder

store_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look at a feature store, check it, pack it and tidy it up."
)

Store = Annotated[Path, typer.Argument(help="Folder of the store.")]
Roots = Annotated[
    list[Path] | None,
    typer.Option("--root", help="Data root: also look for changed and missing videos; one for each data set."),
]


@store_app.command("info")
def info(store: Store) -> int:
    """What a store holds, spec by spec."""
    from vidrnn.store.feature_store import FeatureStore

    folders, newer = FeatureStore(store).folders(), FeatureStore(store).newer()
    if not folders and not newer:
        print(f"no features in {quoted(store)}; `vidrnn extract` makes them, where extraction.store says")
    for folder in folders:
        spec, pack = folder.spec, folder.pack()
        sizes = {video: entry.stat().st_size for video, entry in folder.files()}
        videos, size = len(sizes.keys() | (pack.paths() if pack else ())), sum(sizes.values())
        print(f"{spec.digest}  {videos} videos, {size / 1e6:.1f} MB, {spec.dim} values per frame")
        seen = ""
        if "square" in spec.preprocessing:
            seen = f", {spec.preprocessing['square']} {spec.preprocessing['image_size']}, {spec.nodes}"
        print(f"  {spec.stream}, {spec.backbone} ({spec.weights}){seen}, {spec.precision}")
        if drawn := {key: value for key, value in spec.preprocessing.get("rendering", {}).items() if key != "stream"}:
            print(f"  drawn with {drawn}")
        if spec.is_mirrored:
            print(f"  mirrored left to right; the plain view is {spec.mirrored().digest}")
        if spec.is_superseded:
            print("  of an earlier version of vidrnn: nothing reads it any more, and `vidrnn store gc` removes it")
        print(f"  sampling {spec.sampling}")
        if pack:
            print(f"  pack: {len(pack)} videos in {len(pack.shards)} shards, {pack.size / 1e6:.1f} MB")
    for path in newer:
        print(f"{path.name}  of a later version of vidrnn, which reads it")
    return ExitCode.OK


@store_app.command("verify")
def verify(store: Store, roots: Roots = None) -> int:
    """Read every feature file and pack and compare checksums; with --root also compare with the videos."""
    from collections import Counter

    from vidrnn.bars import on_screen
    from vidrnn.store.feature_store import FeatureStore
    from vidrnn.store.verification import HEALTHS
    from vidrnn.store.verification import verify as verify_folder

    counts: Counter[str] = Counter()
    for folder in FeatureStore(store).folders():
        for finding in verify_folder(folder, roots or (), bar=on_screen):
            counts[finding.health] += 1
            if finding.health != "ok":
                print(
                    f"{finding.health}: {folder.spec.digest} {writable(finding.name)}: {finding.reason}",
                    file=sys.stderr,
                )
    print(", ".join(f"{counts[health]} {health}" for health in HEALTHS))
    return ExitCode.OK if counts.total() == counts["ok"] else ExitCode.SOME_FAILED


@store_app.command("pack")
def pack(
    store: Store,
    spec: Annotated[str | None, typer.Option(help="Digest of one spec, or its start; default all.")] = None,
    remove_files: Annotated[
        bool, typer.Option("--remove-files", help="Remove the feature files that the pack holds.")
    ] = False,
) -> int:
    """Merge feature files into few large files that are mapped into memory; packing again adds what is new."""
    from tqdm import tqdm

    from vidrnn.store.pack_update import pack as pack_folder

    failed = 0
    for folder in _chosen(store, spec):
        with tqdm(unit="video", disable=None) as bar:
            report = pack_folder(folder, remove_files=remove_files, on_total=bar.reset, on_video=bar.update)
        for path, cause in report.failures:
            print(f"failed: {folder.spec.digest} {writable(path)}: {cause}", file=sys.stderr)
        failed += len(report.failures)
        size = f"{report.shards} shards, {report.size / 1e6:.1f} MB"
        removed = f", removed {report.removed_files} feature files" if remove_files else ""
        print(f"{folder.spec.digest}  packed {report.added}, now {report.videos} videos in {size}{removed}")
    return ExitCode.SOME_FAILED if failed else ExitCode.OK


@store_app.command("gc")
def gc(
    store: Store,
    roots: Roots = None,
    gone: Annotated[
        list[str] | None,
        typer.Option("--gone", help="Folder below a root whose videos are all gone on purpose; may be repeated."),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is shown.")] = False,
) -> int:
    """Show what nothing refers to: parts of killed writers, damaged files, replaced packs, empty folders."""
    from vidrnn.bars import on_screen
    from vidrnn.store.feature_store import FeatureStore
    from vidrnn.store.garbage import find_garbage
    from vidrnn.store.garbage_removal import remove

    number, size, kept = 0, 0, 0
    on_purpose = set(map(original, gone or ()))
    for found in find_garbage(FeatureStore(store), roots or (), gone_on_purpose=on_purpose, bar=on_screen):
        for item in found.items:
            lost = f"; the pack loses {', '.join(map(writable, item.dropped))}" if item.dropped else ""
            print(f"{item.size:>12}  {writable(str(item.path))}: {item.reason}{lost}")
        number += len(found.items)
        size += sum(item.size for item in found.items)
        if delete:
            for item in remove(found):
                kept += 1
                print(f"kept: {writable(str(item.path))} has changed meanwhile; run again", file=sys.stderr)
    done = f"removed {number - kept}" if delete else "nothing was removed; --delete removes what is shown"
    print(f"{number} items, {size / 1e6:.1f} MB; {done}")
    return ExitCode.SOME_FAILED if kept else ExitCode.OK


def _chosen(store: Path, digest: str | None) -> "list[FeatureFolder]":
    from vidrnn.store.feature_store import FeatureStore

    folders = FeatureStore(store).folders()
    if digest is None:
        return folders
    chosen = [folder for folder in folders if folder.spec.digest.startswith(digest)]
    if len(chosen) != 1:
        here = ", ".join(folder.spec.digest for folder in folders) or "nothing"
        raise StoreError(f"--spec {digest!r} fits {len(chosen)} specs; {store} holds {here}")
    return chosen
