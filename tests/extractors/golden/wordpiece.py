#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print wordpiece.inc: what the `tokenizers` package makes of some awkward texts.

    pip install tokenizers
    cd tests/extractors/golden && ./wordpiece.py > wordpiece.inc
"""
from tokenizers import BertWordPieceTokenizer

PIECES = """[PAD] [UNK] [CLS] [SEP] [MASK] the quick un ##aff ##able cafe nai ##ve hello world ,
. ! ? ' " - ( ) $ 1 2 ##0 ##2 ##4 20 a b c e ##e s ##s ##ing run ##n ##ning i o ##o strasse ß ##ß
中 文 国 か ##な カ ##タ αθηνα ##σ σ москва и й ё е 한 ᄒ ##ᅡ ##ᆫ ᄀ ☃ 😀 ##😀 ﬁ # ##x x ## ##longest
longest long ##est É é ##é Hello World CAFE ° ; ` [ ] sep cls under ##score _ ä ##ä""".split()

TEXTS = [
    "", " ", "the quick", "The QUICK\tthe\nquick\r\n", "unaffable", "unaffables", "UnAffAble!",
    "café naïve CAFÉ", "cafe\u0301", "hello,world.", "hello-world (hello) 'world'", "$1,024.00",
    "running runs", "straße Straße STRASSE", "中文国hello中", "カタかな", "ΑΘΗΝΑΣ σ", "Москва Й ё Ё",
    "한국 한", "☃ 😀 😀😀 a😀", "ﬁ", "he\u200bllo", "he\u00adllo", "he\x00llo\x07",
    "a\ufffdb", "a\u00a0b\u3000c", "a\u2028b", "\u037e \u1fef", "İİ", "x" * 100, "x" * 101,
    "long longest longestx", "# ## ###", "Å Å 10°", "1\u20442", "under_score _", "ÄÄ ä a\u0308",
    "\u0301\u0301", "a \u0301 b", "豈 更", "[ ]", "?!?!...", "e\u0301e\u0301", "tab\there",
    "한", "\u1112\u1161\u11ab", "zzz the", "the zzz the",
]


def quoted(data):
    return '"' + "".join(f"\\x{b:02X}" for b in data) + '"'


def main():
    vocab = {piece: i for i, piece in enumerate(PIECES)}
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Written by tests/extractors/golden/wordpiece.py. */")
    print("/* clang-format off */")
    print("static const char golden_vocabulary[] =")
    for piece in PIECES:
        print("    " + quoted(piece.encode()) + ' "\\n"')
    print("    ;")
    print("static const struct golden golden_cases[] = {")
    for lower in (True, False):
        tokenizer = BertWordPieceTokenizer(vocab, lowercase=lower, strip_accents=lower)
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            data = text.encode()
            print(f"    {{{str(lower).lower()}, {len(data)}, {quoted(data)},")
            print(f"     {len(ids)}, {{" + ", ".join(map(str, ids)) + "}},")
    print("};")
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
