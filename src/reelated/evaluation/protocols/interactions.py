"""Protocols on interactions without ratings, one split each: Gowalla, Yelp2018, Amazon-Book, Amazon-CDs, ML-1M."""

from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.data.source_tables import SourceTables
from reelated.errors import InputError
from reelated.evaluation.protocols.protocol import Protocol, ProtocolData, Published
from reelated.evaluation.splits import Split

PARTS = ("train", "test")
QUOTED = "quoted by others"
CHOSEN_ON_TEST = "the split has no validation part: many of the published settings were chosen on the test part."
Pairs = npt.NDArray[np.int64]


class InteractionData(ProtocolData):
    """The training and test interactions of a published split, which is the source itself or the option `split`."""

    def __init__(self, name: str, source: Any, split: Any = None) -> None:
        super().__init__(source, split)
        if split is not None and str(source) not in (name, str(split)):
            expected = f"{name}: the files of the split are all its data."
            remedy = f"Give {name!r} as the source, or leave out the split."
            raise InputError(expected, parameter="source", value=Path(str(source)), remedy=remedy)
        self.path = Path(str(source if split is None else split))

    @cached_property
    def parts(self) -> tuple[Pairs, Pairs]:
        """The training and the test interactions, each of shape (2, n): users and items."""
        try:
            if self.path.is_dir():
                train, test = (_read_lines(self.path / f"{part}.txt") for part in PARTS)
            else:
                train, test = _read_arrays(self.path)
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"{str(self.path)!r} cannot be used ({error}). Expected an .npz file of the arrays train_user, "
                "train_item, test_user and test_item, or a folder with train.txt and test.txt, where each line holds "
                "a user and the user's items."
            ) from None
        return train, test

    @cached_property
    def _tables(self) -> SourceTables:
        users, items = np.concatenate(self.parts, axis=1)
        table = pl.DataFrame({"user_id": users, "item_id": items, "rating": np.ones(len(users), np.float32)})
        return SourceTables(table, self.path.stem)


def _read_arrays(path: Path) -> tuple[Pairs, Pairs]:
    """Read both parts from the arrays of a NumPy archive."""
    with np.load(path, allow_pickle=False) as arrays:
        train, test = (np.stack([arrays[f"{part}_user"], arrays[f"{part}_item"]]) for part in PARTS)
    for pairs in (train, test):
        if pairs.ndim != 2 or pairs.dtype.kind not in "iu":
            raise ValueError("the arrays are not one-dimensional arrays of integers")
    return train.astype(np.int64), test.astype(np.int64)


def _read_lines(path: Path) -> Pairs:
    """Read one part from text: a user and the user's items in each line; a line without items holds nothing."""
    rows = [[int(number) for number in line.split()] for line in path.read_text(encoding="ascii").splitlines()]
    users = np.repeat([row[0] for row in rows if row], [len(row) - 1 for row in rows if row])
    return np.stack([users, list(chain.from_iterable(row[1:] for row in rows))]).astype(np.int64)


def hide_test_part(data: ProtocolData) -> list[Split]:
    """Hide the test part, which follows the training part in the table."""
    assert isinstance(data, InteractionData)
    train, test = data.parts
    hidden = np.repeat([False, True], [train.shape[1], test.shape[1]])
    return [data.hide(hidden, "the test part of the published split")]


def _protocol(name: str, data: str, size: tuple[int, int, int], source: str, *published: Published) -> Protocol:
    return Protocol(
        name=name,
        data=data,
        size=size,
        definition=(
            "The published training and test parts, which contain only users and items. Lists of 20 items, without the "
            "user's training items, for all users of the test part. Recall is divided by the number of hidden items; "
            "nDCG is binary, with the ideal list cut at 20."
        ),
        source=f"{source} Note: {CHOSEN_ON_TEST}",
        columns={"R@20": ("recall@20", "any"), "nDCG@20": ("ndcg@20", "any")},
        published=published,
        make_splits=hide_test_part,
        n=(20,),
        open_data=partial(InteractionData, name),
    )


BARS = "BARS (Zhu et al. 2022), results of CandidateMatching"
GOWALLA = _protocol(
    "gowalla",
    "Gowalla",
    (1_027_370, 29_858, 40_981),
    f"Split of Wang et al. 2019, Neural Graph Collaborative Filtering. Rows: {BARS}, unless named otherwise.",
    Published("ItemCF", (0.1570, 0.1214)),
    Published("SLIM", (0.1699, 0.1382)),
    Published("EASE, l2 80", (0.1765, 0.1467)),
    Published("LightGCN", (0.1820, 0.1547)),
    Published("RP3beta", (0.1829, None), "independent run"),
    Published("Turbo-CF", (0.1835, None), QUOTED),
    Published("GF-CF", (0.1849, 0.1518)),
    Published("UltraGCN", (0.1862, 0.1580)),
    Published("SimpleX", (0.1872, 0.1557)),
    Published("BSPM-EM", (0.1920, 0.1597), QUOTED),
    Published("ChebyCF", (0.1941, 0.1616)),
)
YELP = _protocol(
    "yelp2018",
    "Yelp2018",
    (1_561_406, 31_668, 38_048),
    f"Split of Wang et al. 2019, Neural Graph Collaborative Filtering. Rows: {BARS}, unless named otherwise.",
    Published("ItemCF", (0.0639, 0.0531)),
    Published("SLIM", (0.0646, 0.0541)),
    Published("LightGCN", (0.0653, 0.0532)),
    Published("EASE, l2 300", (0.0657, 0.0552)),
    Published("RP3beta", (0.0670, None), "independent run"),
    Published("UltraGCN", (0.0683, 0.0561)),
    Published("Turbo-CF", (0.0693, 0.0574), QUOTED),
    Published("GF-CF", (0.0697, 0.0571)),
    Published("SimpleX", (0.0701, 0.0575)),
    Published("BSPM-EM", (0.0720, 0.0593), QUOTED),
)
AMAZON_BOOK = _protocol(
    "amazon-book",
    "Amazon-Book",
    (2_984_108, 52_643, 91_599),
    f"Split of Wang et al. 2019, Neural Graph Collaborative Filtering, in the files of He et al. 2020, LightGCN. Rows: "
    f"{BARS}, unless named otherwise.",
    Published("LightGCN", (0.0411, 0.0318)),
    Published("SimpleX", (0.0583, 0.0468)),
    Published("UltraGCN", (0.0681, 0.0556)),
    Published("RP3beta", (0.0683, None), "independent run"),
    Published("EASE, l2 50", (0.0710, 0.0567)),
    Published("GF-CF", (0.0710, 0.0584)),
    Published("Turbo-CF", (0.0730, None), QUOTED),
    Published("BSPM-EM", (0.0733, 0.0609), QUOTED),
    Published("ItemCF", (0.0736, 0.0606)),
    Published("ChebyCF", (0.0738, 0.0613)),
    Published("SLIM", (0.0755, 0.0602)),
    Published("SANSA", (0.0768, 0.0637)),
)
AMAZON_CDS = _protocol(
    "amazon-cds",
    "Amazon-CDs",
    (777_426, 43_169, 35_648),
    "Split of Sun et al. 2020, A Framework for Recommending Accurate and Diverse Items (BGCF). Rows: the publications "
    "of the models.",
    Published("NGCF", (0.1258, 0.0792)),
    Published("BGCF", (0.1506, 0.0948)),
    Published("UltraGCN", (0.1622, 0.1043)),
    Published("SimpleX", (0.1763, 0.1145)),
)
ML1M_LCFN = _protocol(
    "ml1m-lcfn",
    "ML-1M of LCFN",
    (895_699, 6_022, 3_043),
    "Split of Yu and Qin 2020, Graph Convolutional Network for Recommendation with Low-pass Collaborative Filters. "
    "Rows: the publications of the models.",
    Published("LightGCN", (0.2576, 0.2427)),
    Published("LCFN", (None, 0.2603)),
    Published("ENMF", (None, 0.2656)),
    Published("UltraGCN", (0.2787, 0.2642)),
    Published("SimpleX", (0.2802, 0.2670), f"recall {QUOTED}"),
)
