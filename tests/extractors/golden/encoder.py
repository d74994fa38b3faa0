#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print encoder.inc: vectors of a tiny seeded BERT, computed with numpy in double precision.

    tests/extractors/golden/encoder.py > tests/extractors/golden/encoder.inc

The weights are not stored: encoder_test.c draws the same numbers in the same order. The sizes are
no multiples of eight on purpose, so that vector code meets its tails.
"""
import math
import numpy as np

HIDDEN, LAYERS, HEADS, WIDE, VOCAB, POSITIONS, EPSILON = 20, 3, 2, 36, 50, 40, 1e-12
erf = np.vectorize(math.erf)
state = 12345


def draw(*shape, scale=1.0, base=0.0):
    """Numbers of 16 bits, so that they are the same in any precision."""
    global state
    out = np.empty(math.prod(shape))
    for i in range(out.size):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = base + ((state >> 16) / 65536 - 0.5) * scale
    return out.reshape(shape)


def draw_norm():
    return draw(HIDDEN, scale=0.5, base=1.0), draw(HIDDEN, scale=0.5)


def draw_linear(rows, columns):
    return draw(rows, columns), draw(rows, scale=0.5)


def draw_model():
    model = {"word": draw(VOCAB, HIDDEN), "position": draw(POSITIONS, HIDDEN),
             "type": draw(HIDDEN), "norm": draw_norm(), "layers": []}
    for _ in range(LAYERS):
        model["layers"].append({
            "q": draw_linear(HIDDEN, HIDDEN), "k": draw_linear(HIDDEN, HIDDEN),
            "v": draw_linear(HIDDEN, HIDDEN), "o": draw_linear(HIDDEN, HIDDEN),
            "norm1": draw_norm(), "up": draw_linear(WIDE, HIDDEN),
            "down": draw_linear(HIDDEN, WIDE), "norm2": draw_norm()})
    return model


def norm(x, parameters, epsilon=EPSILON):
    gamma, beta = parameters
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * gamma + beta


def linear(x, parameters):
    weight, bias = parameters
    return x @ weight.T + bias


def attention(x, layer, heads):
    count, hidden = x.shape
    width = hidden // heads
    q, k, v = (linear(x, layer[n]).reshape(count, heads, width).transpose(1, 0, 2) for n in "qkv")
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(width)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    return linear(mixed.transpose(1, 0, 2).reshape(count, hidden), layer["o"])


def encode(model, tokens, heads=HEADS, epsilon=EPSILON):
    """The last layer's rows, one a token."""
    x = model["word"][tokens] + model["position"][:len(tokens)] + model["type"]
    x = norm(x, model["norm"], epsilon)
    for layer in model["layers"]:
        x = norm(x + attention(x, layer, heads), layer["norm1"], epsilon)
        up = linear(x, layer["up"])
        up = up / 2 * (1 + erf(up / math.sqrt(2)))
        x = norm(x + linear(up, layer["down"]), layer["norm2"], epsilon)
    return x


def unit(vector):
    return vector / np.linalg.norm(vector)


def print_array(declaration, values, form):
    print(f"static const {declaration} = {{")
    texts = [form(v) for v in values]
    for i in range(0, len(texts), 8):
        print("    " + ", ".join(texts[i:i + 8]) + ",")
    print("};")


def main():
    model = draw_model()
    sizes = [5, 1, 40, 13, 5, 2]
    texts = [[(7 * t + 11 * i + t * t) % VOCAB for t in range(n)] for i, n in enumerate(sizes)]
    rows = [encode(model, text) for text in texts]
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Written by tests/extractors/golden/encoder.py. */")
    print("/* clang-format off */")
    print(f"enum {{ HIDDEN = {HIDDEN}, LAYERS = {LAYERS}, HEADS = {HEADS}, WIDE = {WIDE}, "
          f"VOCAB = {VOCAB}, POSITIONS = {POSITIONS}, TEXTS = {len(sizes)} }};")
    print_array("uint32_t golden_sizes[TEXTS]", sizes, str)
    print_array("uint32_t golden_tokens[]", sum(texts, []), str)
    number = lambda v: f"{v:.9f}f"
    print_array("float golden_means[TEXTS * HIDDEN]",
                np.concatenate([unit(r.mean(0)) for r in rows]), number)
    print_array("float golden_firsts[TEXTS * HIDDEN]",
                np.concatenate([r[0] for r in rows]), number)
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
