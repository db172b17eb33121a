"""Text as numbers: cut it into tokens, number the tokens, pad the numbers to one length.

| name             | what it does, and when to use it                                                          |
|------------------|-------------------------------------------------------------------------------------------|
| `tokens`         | the words of a text, in any language: small letters, no punctuation, one Chinese character each |
| `Vocabulary`     | a number for every word of the training texts: names, keywords, sentences                    |
| `CharVocabulary` | a number for every character: spelling matters, or few texts share words (speech recognition) |

    "A Red Apple!"  →  ["a", "red", "apple"]  →  [5, 3, 17]  →  [5, 3, 17, 0, 0]   with mask [True, True, True, False, False]

Two numbers are taken in every vocabulary: 0 is padding, the empty step after a text's end, and 1 is unknown, a word that
no training text had. A vocabulary is built from training texts alone: one built from test texts too would know in advance
which words will be asked for.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

PADDING, UNKNOWN = 0, 1

# Chinese characters and Japanese kana are written without spaces between words, so each is a token of its own. Everything else
# is taken as runs of letters and digits; `[^\W_]` is any letter or digit of any script. Korean puts spaces between words.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def normalise(text: str) -> str:
    """The text in Unicode's form NFKC and in small letters, so that what looks alike is alike.

    Unicode can write é as one character or as e + accent, and digits or letters in full width (Ａ５); NFKC makes them one.

    >>> normalise("Ｃａｆｅ\u0301 №5")
    'café no5'
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def tokens(text: str) -> list[str]:
    """The words of a text: runs of letters and digits, normalised; Chinese characters and Japanese kana one by one.

    Punctuation and symbols go, and a text of nothing else has no tokens. An apostrophe parts a word in two.

    >>> tokens("The T-Rex's 2 arms")
    ['the', 't', 'rex', 's', '2', 'arms']
    >>> tokens("红苹果, Äpfel")
    ['红', '苹', '果', 'äpfel']
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {type(text).__name__}: {text!r}")
    return _TOKEN.findall(normalise(text))


class _Numbering(ABC):
    """What both vocabularies share: a list of tokens, whose places are their numbers."""

    def __init__(self, itos: Sequence[str]) -> None:
        self.itos = list(itos)  # number → token
        self.stoi = {token: number for number, token in enumerate(self.itos)}  # token → number
        if len(self.stoi) < len(self.itos):
            twice = next(token for token, count in Counter(self.itos).items() if count > 1)
            raise ValueError(f"every token of a vocabulary must stand in it once, {twice!r} came more often")

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """The tokens of a text."""

    @abstractmethod
    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The text of some numbers."""

    def __len__(self) -> int:
        """How many numbers there are, padding and unknown included: the rows that an embedding table needs."""
        return len(self.itos)

    def __contains__(self, token: object) -> bool:
        return token in self.stoi

    def encode(self, texts: Sequence[str], length: int | None = None) -> tuple[Tensor, Tensor]:
        """The numbers of some texts as one tensor, padded or cut to `length` tokens (None: as long as the longest text).

        Returns ids (B, T) int64 and mask (B, T) bool, True where a token stands and False where padding does. A text
        without any token gives a row of padding, which a model cannot read: keep such texts out.
        Raises TypeError where a single string comes, ValueError where no text comes or `length` is below 1.
        """
        rows = [self.split(text) for text in _several(texts)]
        if length is None:
            length = max(1, *(len(row) for row in rows))
        if length < 1:
            raise ValueError(f"length must be at least 1 token, got {length}")
        ids = torch.full((len(rows), length), PADDING)
        for i, row in enumerate(rows):
            numbers = [self.stoi.get(token, UNKNOWN) for token in row[:length]]
            ids[i, : len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        return ids, ids != PADDING

    def _read(self, ids: Tensor | Sequence[int]) -> list[str]:
        """The tokens of one row of numbers, padding left out."""
        numbers = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        if not all(isinstance(number, int) for number in numbers):
            raise ValueError("ids must be one row of whole numbers (T,): decode the rows of a batch one by one")
        wrong = [number for number in numbers if not 0 <= number < len(self)]
        if wrong:
            raise ValueError(f"ids must be from 0 to {len(self) - 1}, got {wrong[0]}")
        return [self.itos[number] for number in numbers if number != PADDING]


class Vocabulary(_Numbering):
    """Numbers for words: 0 padding, 1 unknown, then the words of the training texts, the most frequent first.

    >>> vocabulary = Vocabulary.build(["a red apple", "a green apple", "an apple pie"])
    >>> len(vocabulary), vocabulary.itos[:4]
    (8, ['<pad>', '<unk>', 'apple', 'a'])
    >>> ids, mask = vocabulary.encode(["A red cherry!"], length=5)
    >>> ids
    tensor([[3, 7, 1, 0, 0]])
    >>> mask
    tensor([[ True,  True,  True, False, False]])
    >>> vocabulary.decode(ids[0])
    'a red <unk>'
    """

    def __init__(self, words: Sequence[str]) -> None:
        """From words in the order of their numbers, the first of which will be 2; see `build` for training texts."""
        super().__init__(["<pad>", "<unk>", *words])

    @classmethod
    def build(cls, texts: Iterable[str], size: int = 10_000, min_count: int = 1) -> Vocabulary:
        """The vocabulary of some texts: their `size` - 2 most frequent words that come `min_count` times or more.

        Words that come equally often stand in alphabetical order, so the same texts give the same numbers everywhere.
        With `min_count` 2 a word that came once is unknown already in training: the model learns what unknown means.
        Raises ValueError where no text comes, no text has a word, `size` is below 3 or `min_count` below 1.
        """
        if size < 3:
            raise ValueError(f"size must be at least 3 (padding, unknown and one word), got {size}")
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        counts = Counter(word for text in _several(texts) for word in tokens(text))
        words = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
        if not words:
            raise ValueError(f"no word comes {min_count} times or more in the texts: there is nothing to number")
        return cls(words[: size - 2])

    def split(self, text: str) -> list[str]:
        """The words of a text, see `tokens`."""
        return tokens(text)

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The words of one row of numbers with spaces between them, padding left out; unknown words read "<unk>"."""
        return " ".join(self._read(ids))


class CharVocabulary(_Numbering):
    """Numbers for characters: 0 padding, 1 unknown, 2 and 3 for begin and end where `marks` is True, then the characters.

    For CTC the padding 0 is the blank as well. A model that writes a text character by character, and has no marks of its
    own, needs to know where to begin and when to stop: `marks=True` puts 2 before every text and 3 after it.

    >>> letters = CharVocabulary("abc")
    >>> letters.encode(["Cab"])[0]
    tensor([[4, 2, 3]])
    >>> marked = CharVocabulary("abc", marks=True)
    >>> marked.encode(["cab"], length=6)[0]
    tensor([[2, 6, 4, 5, 3, 0]])
    >>> marked.decode([2, 6, 4, 5, 3, 0])
    'cab'
    """

    def __init__(self, characters: Sequence[str], marks: bool = False) -> None:
        """From characters in the order of their numbers; see `build` for training texts."""
        long = [character for character in characters if len(character) != 1]
        if long:
            raise ValueError(f"characters must be single characters, got {long[0]!r}")
        super().__init__(["<pad>", "<unk>", *(["<begin>", "<end>"] if marks else []), *characters])
        self.marks = marks

    @classmethod
    def build(cls, texts: Iterable[str], marks: bool = False) -> CharVocabulary:
        """The vocabulary of every character in some texts, normalised, in the order of their code points."""
        characters = sorted({character for text in _several(texts) for character in normalise(text)})
        if not characters:
            raise ValueError("the texts are all empty: there is no character to number")
        return cls(characters, marks)

    def split(self, text: str) -> list[str]:
        """The characters of a text, normalised, between the marks where there are any."""
        characters = list(normalise(text))
        return ["<begin>", *characters, "<end>"] if self.marks else characters

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The text of one row of numbers, without padding and begin, up to the first end; an unknown character reads "�"."""
        characters = self._read(ids)
        if self.marks and "<end>" in characters:
            characters = characters[: characters.index("<end>")]
        return "".join("�" if c == "<unk>" else c for c in characters if c != "<begin>")


def _several(texts: Iterable[str]) -> list[str]:
    """The texts as a list; a single string in their place is the mistake to catch, for it would pass as letters."""
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of strings, got the single string {texts!r}: write [text]")
    texts = list(texts)
    if not texts:
        raise ValueError("texts is empty: at least one text is needed")
    return texts
