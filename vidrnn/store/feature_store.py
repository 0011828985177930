"""The feature store as a whole: one folder for each spec, and the one that fits a configuration."""

from pathlib import Path

from vidrnn.atomic import write_atomically
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.names import quoted
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, Stream
from vidrnn.store.feature_folder import FeatureFolder, digest_of_weights
from vidrnn.store.spec import FeatureSpec, NewerSpecError


class FeatureStore:
    """A folder of specs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folders(self) -> list[FeatureFolder]:
        """One per spec; specs of later versions of vidrnn are left out (`newer`).

        Raises MissingPathError when there is no store, StoreError when a spec is unreadable.
        """
        if not self.root.is_dir():
            raise MissingPathError(f"feature store {quoted(self.root)} does not exist; run `vidrnn extract` first")
        folders = []
        for path in sorted(self.root.glob("*/spec.json")):
            try:
                spec = FeatureSpec.from_json(path.read_text(encoding="utf-8"))
            except NewerSpecError:
                continue
            except (ValueError, TypeError) as error:
                raise StoreError(f"{path} is not a feature spec of this version: {error}") from error
            if spec.digest != path.parent.name:
                raise StoreError(f"{path} was changed by hand: its digest is {spec.digest}; extract again")
            folders.append(FeatureFolder(path.parent, spec))
        return folders

    def newer(self) -> list[Path]:
        """Folders whose spec was written by a later version of vidrnn, which nothing here reads or removes."""
        found = []
        for path in sorted(self.root.glob("*/spec.json")):
            try:
                FeatureSpec.from_json(path.read_text(encoding="utf-8"))
            except NewerSpecError:
                found.append(path.parent)
            except (ValueError, TypeError):
                continue
        return found

    def folder(self, spec: FeatureSpec) -> FeatureFolder:
        """The folder of a spec, whether or not it is there yet."""
        return FeatureFolder(self.root / spec.digest, spec)

    def create(self, spec: FeatureSpec) -> FeatureFolder:
        """The folder of a spec, made when it is not there. Raises OSError."""
        folder = self.folder(spec)
        if not (folder.path / "spec.json").exists():
            write_atomically(folder.path / "spec.json", spec.to_json().encode())
        return folder

    def find(self, settings: FeatureSettings, *, stream: Stream = "rgb") -> FeatureFolder:
        """The one folder of a stream that fits a configuration, without loading a backbone.

        Raises:
            MissingPathError: there is no store.
            StoreError: no spec fits (with the differences), or several do.
        """
        folders = self.folders()
        named = [folder for folder in folders if not folder.spec.differences(settings, stream=stream)]
        weights = digest_of_weights(settings.weights) if stream in BACKBONE_STREAMS else None
        fitting = [folder for folder in named if weights is None or weights in folder.weights_files()]
        if named and not fitting:
            places = ", ".join(str(folder.path) for folder in named)
            raise StoreError(
                f"the features in {places} were made with another weights file of the name "
                f"{quoted(Path(settings.weights).name)} than {quoted(settings.weights)}; run `vidrnn extract`"
            )
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            digests = ", ".join(folder.spec.digest for folder in fitting)
            key = "features.spec_digest"
            place = key if len(set(settings.streams)) == 1 else f"{key}.{stream}"
            raise StoreError(f"several specs in {self.root} fit the configuration; set {place} to one of {digests}")
        others = "; ".join(
            f"{spec.digest} has {', '.join(spec.differences(settings, stream=stream))}"
            for spec in (folder.spec for folder in folders)
        )
        newer = "".join(f"; {path.name} is of a later version of vidrnn" for path in self.newer())
        raise StoreError(
            f"no spec in {self.root} fits the configuration ({others or 'it is empty'}{newer}); run `vidrnn extract`"
        )

    def find_mirrored(self, settings: FeatureSettings, *, stream: Stream = "rgb") -> FeatureFolder:
        """The folder of the same videos mirrored left to right; it belongs to the one that `find` gives.

        Raises:
            MissingPathError: there is no store.
            StoreError: `find` says so, or there are no mirrored features.
        """
        plain = self.find(settings, stream=stream).spec
        folder = self.folder(plain.mirrored())
        if not (folder.path / "spec.json").exists():
            raise StoreError(
                f"no mirrored features of spec {plain.digest} in {self.root}; "
                "run `vidrnn extract` with features.mirrored: true"
            )
        return folder
