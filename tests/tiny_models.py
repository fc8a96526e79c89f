"""Small models with random weights, saved in the real formats, for the tests of loading them."""

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

WORDS = [
    "a",
    "the",
    "red",
    "bicycle",
    "cat",
    "train",
    "bread",
    "and",
    "cheese",
    "fresh",
    "der",
    "zug",
    "nach",
    "word",
    "photo",
    "of",
    "i",
    "like",
    "speech",
    "dog",
]
SIDE = 32
WIDE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
STARTED = {"initializer_range": 0.3}
"""Far from zero, so that a random model tells its samples apart."""


def save_tokenizer(folder: Path, pad: str = "[PAD]", longest: int = 40) -> int:
    """A tokenizer of whole words, single letters for the rest; returns its size."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = [pad, "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*special, *WORDS, *letters]))}
    continued = {f"##{letter}": len(vocabulary) + number for number, letter in enumerate(letters)}
    vocabulary |= continued
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=50))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        eos_token="[SEP]", model_max_length=longest,
    )  # fmt: skip
    fast.save_pretrained(folder)
    return len(vocabulary)


def _saved(model: Any, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    return folder


def bert(folder: Path) -> Path:
    """A text model."""
    from transformers import BertConfig, BertModel

    size = save_tokenizer(folder)
    torch.manual_seed(1)
    return _saved(
        BertModel(BertConfig(vocab_size=size, max_position_embeddings=40, **WIDE, **STARTED)), folder
    )


def sentence(folder: Path) -> Path:
    """The same as sentence-transformers saves it: first-token pooling, and a dense layer on top."""
    bert(folder)
    modules = [
        ("Transformer", ""),
        ("Pooling", "1_Pooling"),
        ("Dense", "2_Dense"),
        ("Normalize", "3_Normalize"),
    ]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "2_Dense").mkdir()
    activation = "torch.nn.modules.activation.Tanh"
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"activation_function": activation}))
    torch.manual_seed(9)
    save_file(
        {"linear.weight": torch.randn(16, 32), "linear.bias": torch.randn(16)},
        folder / "2_Dense" / "model.safetensors",
    )
    return folder


def causal(folder: Path) -> Path:
    """A language model, whose last token has seen the whole text."""
    from transformers import LlamaConfig, LlamaModel

    size = save_tokenizer(folder)
    torch.manual_seed(2)
    config = LlamaConfig(vocab_size=size, max_position_embeddings=40, pad_token_id=0, **WIDE, **STARTED)
    return _saved(LlamaModel(config), folder)


def writing(folder: Path) -> Path:
    """A language model that writes, words of chance; it was taught to converse."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    size = save_tokenizer(folder, longest=4096)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (
        "{% for turn in messages %}{{ turn.role }} : {{ turn.content }} [SEP] {% endfor %}"
        "{% if add_generation_prompt %}assistant : {% endif %}"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(18)
    config = LlamaConfig(vocab_size=size, max_position_embeddings=4096, pad_token_id=0, bos_token_id=2,
                         eos_token_id=3, **WIDE, **STARTED)  # fmt: skip
    return _saved(LlamaForCausalLM(config), folder)


def judging(folder: Path, names: tuple[str, ...] = ("negative", "neutral", "positive")) -> Path:
    """A classifier of texts."""
    from transformers import BertConfig, BertForSequenceClassification

    size = save_tokenizer(folder)
    torch.manual_seed(19)
    config = BertConfig(vocab_size=size, max_position_embeddings=40, id2label=dict(enumerate(names)),
                        label2id={name: number for number, name in enumerate(names)}, **WIDE,
                        **STARTED)  # fmt: skip
    return _saved(BertForSequenceClassification(config), folder)


def t5(folder: Path) -> Path:
    """An encoder and decoder, of which the encoder alone reads texts."""
    from transformers import T5Config, T5Model

    size = save_tokenizer(folder)
    torch.manual_seed(3)
    config = T5Config(vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
                      decoder_start_token_id=0)  # fmt: skip
    return _saved(T5Model(config), folder)


def vit(folder: Path) -> Path:
    """A vision model that was saved with a classifier, and so without a pooler."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(4)
    config = ViTConfig(image_size=SIDE, patch_size=8, **WIDE, **STARTED, id2label={0: "cat", 1: "bicycle"},
                       label2id={"cat": 0, "bicycle": 1})  # fmt: skip
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return _saved(ViTForImageClassification(config), folder)


def resnet(folder: Path) -> Path:
    """A convolutional vision model: its last layer is a map."""
    from transformers import ConvNextImageProcessorPil, ResNetConfig, ResNetModel

    torch.manual_seed(5)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic")
    ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=1.0).save_pretrained(folder)
    return _saved(ResNetModel(config), folder)


def clip(folder: Path) -> Path:
    """Text and images in one space."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    size = save_tokenizer(folder)
    torch.manual_seed(6)
    text = {"vocab_size": size, "max_position_embeddings": 40, "eos_token_id": 3, "bos_token_id": 2,
            "pad_token_id": 0, **WIDE, **STARTED}  # fmt: skip
    vision = {"image_size": SIDE, "patch_size": 8, **WIDE, **STARTED}
    CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    return _saved(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)), folder)


def siglip(folder: Path) -> Path:
    """Text and images in one space, texts filled up to full length."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    size = save_tokenizer(folder, longest=16)
    torch.manual_seed(7)
    text = {"vocab_size": size, "max_position_embeddings": 16, "pad_token_id": 0, "projection_size": 32,
            "bos_token_id": 2, "eos_token_id": 3, **WIDE}  # fmt: skip
    vision = {"image_size": SIDE, "patch_size": 8, **WIDE}
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return _saved(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), folder)


def clap(folder: Path, fusion: bool = False) -> Path:
    """Text and sounds in one space."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    size = save_tokenizer(folder)
    torch.manual_seed(8)
    text = {"vocab_size": size, "max_position_embeddings": 42, "pad_token_id": 0, "projection_dim": 24,
            "initializer_factor": 8.0, **WIDE, **STARTED}  # fmt: skip
    audio = {"spec_size": 64, "num_mel_bins": 16, "patch_size": 4, "patch_stride": [4, 4], "window_size": 4,
             "hidden_size": 32, "depths": [1, 1], "num_attention_heads": [2, 2], "projection_dim": 24,
             "patch_embeds_hidden_size": 16, "enable_fusion": fusion, "aff_block_r": 2,
             **STARTED}  # fmt: skip
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=16_000, max_length_s=2, hop_length=512, fft_window_size=1024,
        frequency_max=8000, truncation="fusion" if fusion else "rand_trunc",
    )  # fmt: skip
    extractor.save_pretrained(folder)
    return _saved(ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=24)), folder)


def ast(folder: Path) -> Path:
    """A spectrogram transformer that classifies sounds."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(10)
    config = ASTConfig(num_mel_bins=16, max_length=128, patch_size=8, frequency_stride=8, time_stride=8,
                       id2label={0: "Speech", 1: "Dog"}, label2id={"Speech": 0, "Dog": 1}, **WIDE,
                       **STARTED)  # fmt: skip
    ASTFeatureExtractor(num_mel_bins=16, max_length=128).save_pretrained(folder)
    return _saved(ASTForAudioClassification(config), folder)


def _wav2vec2_config(**more: Any) -> Any:
    from transformers import Wav2Vec2Config

    return Wav2Vec2Config(
        conv_dim=(16, 16, 16), conv_kernel=(10, 8, 4), conv_stride=(10, 8, 4), num_feat_extract_layers=3,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, **WIDE, **STARTED, **more,
    )  # fmt: skip


def wav2vec2(folder: Path) -> Path:
    """A speech model."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(11)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return _saved(Wav2Vec2Model(_wav2vec2_config()), folder)


def videomae(folder: Path) -> Path:
    """A video model."""
    from transformers import VideoMAEConfig, VideoMAEImageProcessorPil, VideoMAEModel

    torch.manual_seed(12)
    config = VideoMAEConfig(image_size=SIDE, patch_size=8, num_frames=4, tubelet_size=2, **WIDE, **STARTED)
    VideoMAEImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    return _saved(VideoMAEModel(config), folder)


def xclip(folder: Path) -> Path:
    """Text and videos in one space."""
    from transformers import VideoMAEImageProcessorPil, XCLIPConfig, XCLIPModel

    size = save_tokenizer(folder)
    torch.manual_seed(13)
    text = {"vocab_size": size, "max_position_embeddings": 40, "eos_token_id": 3, "bos_token_id": 2,
            "pad_token_id": 0, **WIDE, "initializer_factor": 4.0}  # fmt: skip
    vision = {"image_size": SIDE, "patch_size": 8, "num_frames": 4, "mit_hidden_size": 24,
              "mit_intermediate_size": 32, "mit_num_hidden_layers": 1, "mit_num_attention_heads": 2,
              "initializer_factor": 4.0, **WIDE}  # fmt: skip
    VideoMAEImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    config = XCLIPConfig(
        text_config=text, vision_config=vision, projection_dim=24, prompt_num_attention_heads=2
    )
    return _saved(XCLIPModel(config), folder)


def blip(folder: Path) -> Path:
    """Captions pictures."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil

    size = save_tokenizer(folder)
    torch.manual_seed(14)
    text = {"vocab_size": size, "max_position_embeddings": 64, "bos_token_id": 2, "sep_token_id": 3,
            "eos_token_id": 3, "pad_token_id": 0, "encoder_hidden_size": 32, **WIDE, **STARTED}  # fmt: skip
    vision = {"image_size": SIDE, "patch_size": 8, **WIDE, **STARTED}
    BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=24, image_text_hidden_size=24)
    return _saved(BlipForConditionalGeneration(config), folder)


def vit_gpt(folder: Path) -> Path:
    """Captions pictures by an encoder and a decoder that were trained apart."""
    from transformers import (
        BertConfig,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessorPil,
    )

    size = save_tokenizer(folder)
    torch.manual_seed(15)
    decoder = BertConfig(
        vocab_size=size,
        max_position_embeddings=64,
        is_decoder=True,
        add_cross_attention=True,
        **WIDE,
        **STARTED,
    )
    encoder = ViTConfig(image_size=SIDE, patch_size=8, **WIDE, **STARTED)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 2, 0, 3
    model = VisionEncoderDecoderModel(config=config)
    model.generation_config.decoder_start_token_id = 2
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 3
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return _saved(model, folder)


def whisper(folder: Path) -> Path:
    """Writes down speech."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

    size = save_tokenizer(folder)
    torch.manual_seed(16)
    config = WhisperConfig(
        vocab_size=size, num_mel_bins=16, d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=48,
        encoder_attention_heads=4, decoder_attention_heads=4, decoder_ffn_dim=48, max_source_positions=50,
        max_target_positions=60, pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2,
        suppress_tokens=[], begin_suppress_tokens=[], init_std=0.3,
    )  # fmt: skip
    WhisperFeatureExtractor(feature_size=16, chunk_length=1).save_pretrained(folder)
    return _saved(WhisperForConditionalGeneration(config), folder)


SIGNS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnop"]


def ctc(folder: Path) -> Path:
    """Spells speech, letter by letter."""
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    torch.manual_seed(17)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({sign: number for number, sign in enumerate(SIGNS)}))
    return _saved(Wav2Vec2ForCTC(_wav2vec2_config(vocab_size=len(SIGNS), pad_token_id=0)), folder)


MAKERS: dict[str, Callable[[Path], Path]] = {
    maker.__name__: maker
    for maker in (
        bert,
        sentence,
        causal,
        t5,
        vit,
        resnet,
        clip,
        siglip,
        clap,
        ast,
        wav2vec2,
        videomae,
        xclip,
        blip,
        vit_gpt,
        whisper,
        ctc,
        writing,
        judging,
    )
}
ENCODERS = {
    "text": ("bert", "sentence", "causal", "t5", "clip", "siglip", "clap", "xclip"),
    "image": ("vit", "resnet", "clip", "siglip"),
    "audio": ("clap", "ast", "wav2vec2"),
    "video": ("videomae", "xclip"),
}
"""Which of the models encode what."""
DESCRIBERS = {"captions": ("blip", "vit_gpt"), "sounds": ("ast",), "emotion": ("ast",),
              "transcripts": ("whisper", "ctc"), "phonemes": ("ctc",)}  # fmt: skip
"""Which of them put media into words, by the setting that names them."""

_FOLDER = tempfile.TemporaryDirectory(prefix="tiny-models-")


@functools.cache
def tiny(name: str) -> Path:
    """The folder of a model of MAKERS, made at the first call; nobody may change it."""
    folder = Path(_FOLDER.name) / name
    folder.mkdir()
    return MAKERS[name](folder)
