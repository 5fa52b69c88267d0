"""Networks of transformers, small and with random weights.

They are built from configurations, so nothing is downloaded: pip install -e '.[bench]'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from latlab.domain.program import TensorSpec

if TYPE_CHECKING:
    from torch import nn

    from latlab.export.execution.example import Inputs

_IMAGE = (1, 3, 224, 224)
_TOKENS = TensorSpec((1, 64), "int64", low=0, high=999)
_TEXT = {"input_ids": _TOKENS}
_ALL_TOKENS = TensorSpec((1, 64), "int64", low=1, high=1)
_MASKED_TEXT = {"input_ids": _TOKENS, "attention_mask": _ALL_TOKENS}

_TINY_VIT = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 768,
}
_TINY_BERT = {
    "vocab_size": 1000,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 512,
}
_TINY_CLIP = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


class _Recipe(NamedTuple):
    """A model's class, the options of its configuration, and its inputs."""

    model: str
    options: Mapping[str, Any]
    inputs: Inputs


_RECIPES = {
    "bert": _Recipe("BertForSequenceClassification", _TINY_BERT, _MASKED_TEXT),
    "clip": _Recipe(
        "CLIPModel",
        {
            "text_config": {**_TINY_CLIP, "vocab_size": 1000, "eos_token_id": 999},
            "vision_config": _TINY_CLIP,
            "projection_dim": 64,
        },
        {"input_ids": _TOKENS, "pixel_values": TensorSpec(_IMAGE), "attention_mask": _ALL_TOKENS},
    ),
    "convnext": _Recipe(
        "ConvNextForImageClassification",
        {"hidden_sizes": (48, 96, 192, 384), "depths": (1, 1, 2, 1)},
        _IMAGE,
    ),
    "deit": _Recipe("DeiTForImageClassificationWithTeacher", _TINY_VIT, _IMAGE),
    "distilbert": _Recipe(
        "DistilBertForSequenceClassification",
        {"vocab_size": 1000, "dim": 128, "n_layers": 2, "n_heads": 2, "hidden_dim": 512},
        _MASKED_TEXT,
    ),
    "gpt2": _Recipe(
        "GPT2LMHeadModel",
        {"vocab_size": 1000, "n_embd": 128, "n_layer": 2, "n_head": 2, "use_cache": False},
        _TEXT,
    ),
    "levit": _Recipe(
        "LevitForImageClassification",
        {
            "hidden_sizes": (64, 128, 192),
            "num_attention_heads": (2, 4, 6),
            "depths": (1, 1, 1),
        },
        _IMAGE,
    ),
    "llama": _Recipe(
        "LlamaForCausalLM",
        {
            "vocab_size": 1000,
            "hidden_size": 128,
            "intermediate_size": 344,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "use_cache": False,
        },
        _TEXT,
    ),
    "mobilevit": _Recipe(
        "MobileViTForImageClassification",
        {"hidden_sizes": (64, 80, 96), "neck_hidden_sizes": (16, 16, 24, 48, 64, 80, 320)},
        (1, 3, 256, 256),
    ),
    "poolformer": _Recipe(
        "PoolFormerForImageClassification",
        {"hidden_sizes": (32, 64, 160, 256), "depths": (1, 1, 2, 1)},
        _IMAGE,
    ),
    "regnet": _Recipe(
        "RegNetForImageClassification",
        {"hidden_sizes": (24, 56, 152, 368), "depths": (1, 1, 4, 7), "groups_width": 8},
        _IMAGE,
    ),
    "segformer": _Recipe(
        "SegformerForSemanticSegmentation",
        {"depths": (1, 1, 1, 1), "decoder_hidden_size": 64},
        _IMAGE,
    ),
    "swin": _Recipe(
        "SwinForImageClassification",
        {"embed_dim": 48, "depths": (2, 2), "num_heads": (3, 6)},
        _IMAGE,
    ),
    "t5": _Recipe(
        "T5EncoderModel",
        {
            "vocab_size": 1000,
            "d_model": 128,
            "d_kv": 32,
            "d_ff": 512,
            "num_layers": 2,
            "num_heads": 4,
        },
        _TEXT,
    ),
    "vit": _Recipe("ViTForImageClassification", _TINY_VIT, _IMAGE),
    "whisper": _Recipe(
        "WhisperForAudioClassification",
        {
            "vocab_size": 1000,
            "num_mel_bins": 40,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 512,
            "d_model": 128,
            "max_source_positions": 100,
        },
        (1, 40, 200),
    ),
}

NAMES = tuple(_RECIPES)


def make(name: str) -> tuple[nn.Module, Inputs]:
    """Return a network and its inputs."""
    import torch
    import transformers

    recipe = _RECIPES[name]
    kind = getattr(transformers, recipe.model)
    torch.manual_seed(0)
    return kind(kind.config_class(**recipe.options)).eval(), recipe.inputs
