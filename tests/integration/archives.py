# SPDX-License-Identifier: Apache-2.0
"""Model archives, good and bad, made in memory."""
import gzip
import io
import json
import math
import pickle
import random
import struct
import sys
import tarfile
import types
import zipfile
import zlib


def safetensors(tensors, header=None, size=None):
    """`tensors`: name -> (dtype, shape, begin, end). Its data are zeros."""
    if header is None:
        header = json.dumps({name: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
                             for name, (dtype, shape, begin, end) in tensors.items()}).encode()
    if size is None:
        size = max((entry[3] for entry in tensors.values()), default=0)
    return struct.pack("<Q", len(header)) + header + bytes(size)


def member(name, data=b"", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def archive(*members):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


GOOD_TENSORS = {"weight": ("F32", [4, 4], 0, 64), "bias": ("F32", [4], 64, 80)}
GOOD = archive(member("model.safetensors", safetensors(GOOD_TENSORS)))


def bomb():
    """16 GiB of zeros in 16 MiB: one tensor of them, its data one gzip member repeated."""
    block, count = 1 << 26, 255
    header = json.dumps({"zeros": {"dtype": "U8", "shape": [block * count],
                                   "data_offsets": [0, block * count]}}).encode()
    head = struct.pack("<Q", len(header)) + header
    info = tarfile.TarInfo("model.safetensors")
    info.size = len(head) + block * count
    return (gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + head, 1)
            + gzip.compress(bytes(block), 9) * count)


def many_entries(count=200_000):
    """So many empty files, in a few hundred KiB."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    parts = [packer.compress(tarfile.TarInfo(f"file-{i}").tobuf(tarfile.USTAR_FORMAT))
             for i in range(count)]
    return b"".join(parts) + packer.compress(bytes(1024)) + packer.flush()


def weights(tensors=None, **options):
    return archive(member("model.safetensors", safetensors(tensors or {}, **options)))


def bert(hidden):
    """A Hugging Face directory whose configuration says 64 and whose tensors say `hidden`."""
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 8,
              "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
              "intermediate_size": 128, "max_position_embeddings": 16, "type_vocab_size": 2,
              "hidden_act": "gelu", "layer_norm_eps": 1e-12}
    shape = [8, hidden]
    tensors = {"embeddings.word_embeddings.weight": ("F32", shape, 0, 4 * 8 * hidden)}
    return archive(member("config.json", json.dumps(config).encode()),
                   member("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n"),
                   member("model.safetensors", safetensors(tensors)))


def encoder(seed=0, hidden=8, is_torch=False):
    """A Hugging Face directory that makes vectors of `hidden` numbers, others for other seeds."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz",
             *("##" + letter for letter in "abcdefghijklmnopqrstuvwxyz")]
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": len(words),
              "hidden_size": hidden, "num_hidden_layers": 1, "num_attention_heads": 2,
              "intermediate_size": 2 * hidden, "max_position_embeddings": 16,
              "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
    layer = "encoder.layer.0."
    shapes = {"embeddings.word_embeddings.weight": [len(words), hidden],
              "embeddings.position_embeddings.weight": [16, hidden],
              "embeddings.token_type_embeddings.weight": [2, hidden]}
    for name, rows, columns in (
            ("attention.self.query", hidden, hidden), ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden), ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", 2 * hidden, hidden), ("output.dense", hidden, 2 * hidden)):
        shapes[f"{layer}{name}.weight"] = [rows, columns]
        shapes[f"{layer}{name}.bias"] = [rows]
    for name in ("embeddings.", f"{layer}attention.output.", f"{layer}output."):
        for part in ("weight", "bias"):
            shapes[f"{name}LayerNorm.{part}"] = [hidden]
    values = random.Random(seed)
    header, data, tensors = {}, b"", {}
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        base = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        numbers = struct.pack(f"<{count}f", *(base + values.uniform(-.3, .3)
                                              for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
        tensors[name] = (shape, struct.unpack(f"<{count}f", numbers))
    text = json.dumps(header).encode()
    weights = (member("pytorch_model.bin", pytorch(tensors)) if is_torch else
               member("model.safetensors", struct.pack("<Q", len(text)) + text + data))
    return archive(member("config.json", json.dumps(config).encode()), weights,
                   member("vocab.txt", "".join(word + "\n" for word in words).encode()))


HUGE = 1 << 63
BAD = (
    ("not gzip", b"this is not an archive" * 50),
    ("gzip that is no tar", gzip.compress(b"plain text" * 1000)),
    ("gzip cut short", GOOD[:len(GOOD) // 2]),
    ("an empty archive", archive()),
    ("a path with ..", archive(member("../outside.safetensors", safetensors(GOOD_TENSORS)))),
    ("a path with .. inside", archive(member("a/../../b.safetensors", b"x"))),
    ("an absolute path", archive(member("/tmp/outside.safetensors", b"x"))),
    ("a symbolic link", archive(member("model.safetensors", kind=tarfile.SYMTYPE,
                                       link="/etc/passwd"))),
    ("a hard link", archive(member("model.safetensors", kind=tarfile.LNKTYPE,
                                   link="/etc/passwd"))),
    ("a character device", archive(member("zero", kind=tarfile.CHRTYPE))),
    ("a block device", archive(member("disk", kind=tarfile.BLKTYPE))),
    ("a fifo", archive(member("pipe", kind=tarfile.FIFOTYPE))),
    ("no weights", archive(member("readme.txt", b"nothing here"))),
    ("overlapping tensors", weights({"a": ("F32", [4], 0, 16), "b": ("F32", [4], 8, 24)})),
    ("a tensor out of range", weights({"a": ("F32", [4], 0, 16)}, size=8)),
    ("a tensor that ends before it begins", weights({"a": ("F32", [4], 16, 0)}, size=16)),
    ("offsets that overflow", weights({"a": ("F32", [4], HUGE, HUGE * 2 - 1)}, size=16)),
    ("a shape that overflows", weights({"a": ("F32", [1 << 32, 1 << 32], 0, 16)})),
    ("a shape that is not its size", weights({"a": ("F32", [5], 0, 16)})),
    ("a negative dimension", weights({"a": ("F32", [-4], 0, 16)})),
    ("an unknown type of number", weights({"a": ("Q99", [4], 0, 16)})),
    ("a header that is not JSON", weights(header=b"{" * 64, size=16)),
    ("a header longer than the file", archive(member(
        "model.safetensors", struct.pack("<Q", 1 << 40) + b"{}"))),
    ("a header length that overflows", archive(member(
        "model.safetensors", struct.pack("<Q", (1 << 64) - 1) + b"{}"))),
    ("a file of 3 bytes", archive(member("model.safetensors", b"abc"))),
)


def _torch_names():
    """Modules of the names that a state_dict's pickle holds: only names, torch is not needed."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    storage = type("FloatStorage", (), {"__module__": "torch"})

    def rebuild(*_):
        raise NotImplementedError

    rebuild.__module__, rebuild.__name__ = "torch._utils", "_rebuild_tensor_v2"
    rebuild.__qualname__ = "_rebuild_tensor_v2"
    torch.FloatStorage, torch._utils, utils._rebuild_tensor_v2 = storage, utils, rebuild
    return {"torch": torch, "torch._utils": utils}, storage, rebuild


def pytorch(tensors, evil=None):
    """{name: (shape, floats)} as torch.save writes them; `evil` is pickled beside them."""
    modules, storage, rebuild = _torch_names()

    class Key:
        def __init__(self, number, count):
            self.id = ("storage", storage, str(number), "cpu", count)

    class Tensor:
        def __init__(self, number, shape, values):
            self.key, self.shape = Key(number, len(values)), tuple(shape)
            self.strides = tuple(math.prod(shape[i + 1:]) for i in range(len(shape)))

        def __reduce__(self):
            return rebuild, (self.key, 0, self.shape, self.strides, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.id if isinstance(obj, Key) else None

    out = io.BytesIO()
    state = {name: Tensor(i, *each) for i, (name, each) in enumerate(tensors.items())}
    if evil is not None:
        state["evil"] = evil
    saved = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        Pickler(out, protocol=2).dump(state)
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("model/data.pkl", out.getvalue())
        packed.writestr("model/byteorder", "little")
        for i, (_, values) in enumerate(tensors.values()):
            packed.writestr(f"model/data/{i}", struct.pack(f"<{len(values)}f", *values))
        packed.writestr("model/version", "3\n")
    return file.getvalue()


def _field(number, value):
    """A field of a protocol buffer: an int, or bytes."""
    def varint(n):
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx(location=None):
    """y = x + w, where w has two floats; with a location they lie in the file of that name."""
    tensor = _field(1, 2) + _field(2, 1) + _field(8, b"w")
    if location is None:
        tensor += _field(9, struct.pack("<2f", 1, 2))
    else:
        entry = _field(1, b"location") + _field(2, location.encode())
        tensor += _field(13, entry) + _field(14, 1)
    node = _field(1, b"x") + _field(1, b"w") + _field(2, b"y") + _field(4, b"Add")
    graph = (_field(1, node) + _field(2, b"g") + _field(5, tensor)
             + _field(11, _field(1, b"x")) + _field(12, _field(1, b"y")))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 17))
