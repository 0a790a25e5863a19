"""CIFAR-10 and CIFAR-100: photographs of 32 x 32 pixels, published as pickled batches and binary records."""

from __future__ import annotations

import io
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nets.data.augmentation import Augmentation
from nets.data.source import (
    Form,
    PublishedFile,
    RawData,
    Source,
    labels,
    md5_of_bytes,
    refuse_unless_published,
)

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def _content(folder: Path, file: PublishedFile, verify: bool) -> bytes:
    path = folder / file.name
    content = path.read_bytes()
    if verify:
        refuse_unless_published(path, md5_of_bytes(content), file.md5)
    return content


class _Stand:
    """Stands for what of numpy a pickle may name: it keeps what it is given, and does nothing."""

    state: Any = None

    def __init__(self, *given: Any) -> None:
        self.given = given

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _ArrayType(_Stand): ...


class _Array(_Stand): ...


class _Buffer(_Stand): ...


class _DType(_Stand): ...


#: numpy's names, without and with the underscore that its version 2 puts before "core".
_NAMES = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,  # protocol 5
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        def encode(text: str, encoding: Any = "latin1") -> bytes:
            if encoding not in ("latin1", b"latin1"):
                raise pickle.UnpicklingError(f"it encodes with {encoding!r}")
            return text.encode("latin-1")

        if (module, name) == ("_codecs", "encode"):  # so protocol 2 writes bytes
            return encode
        found = _NAMES.get((module.replace("._core.", ".core."), name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need")
        return found


def read_pickled_arrays(content: bytes, where: object) -> dict[str, Any]:
    """Read a pickled dictionary whose values are arrays of numbers or plain containers.

    A pickle is a program: it can name any callable and call it. Here it can name nothing but `_NAMES`.

    Parameters
    ----------
    content : bytes
        The pickle, of any protocol, written by Python 2 or 3.
    where : object
        Name of the file, for the message.

    Returns
    -------
    dict
        Keys as str; arrays as numpy arrays; byte strings of Python 2 as bytes.

    Raises
    ------
    ValueError
        If the pickle is damaged or asks for anything but arrays and built-in containers. Nothing it names is
        imported or called.
    """
    try:
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if type(loaded) is not dict:
            raise pickle.UnpicklingError(f"it holds a {type(loaded).__name__}, not a dictionary")
        plain = {k.decode("ascii") if isinstance(k, bytes) else k: v for k, v in loaded.items()}
        if wrong := [key for key in plain if not isinstance(key, str)]:
            raise pickle.UnpicklingError(f"it has the key {wrong[0]!r}")
        return {k: _view(v) if isinstance(v, (_Stand, type)) else v for k, v in plain.items()}
    except Exception as error:  # a hostile pickle can make the machine fail in any way
        raise ValueError(f"{where} is refused as a pickle of arrays: {error}") from error


def _view(told: Any) -> npt.NDArray[Any]:
    """Return the array that a stand-in was told of, a view of its bytes."""
    if isinstance(told, _Array) and told.given[0] is _ArrayType:
        _, shape, dtype, fortran, content = told.state
        order: Any = "F" if fortran else "C"
    elif isinstance(told, _Buffer):
        content, dtype, shape, order = told.given
    else:
        raise pickle.UnpicklingError(f"it holds {type(told).__name__.lstrip('_')} where an array belongs")
    if not isinstance(dtype, _DType):
        raise pickle.UnpicklingError(f"it has {dtype!r} where a dtype belongs")
    code, byte_order = (
        text.decode("ascii") if isinstance(text, bytes) else text
        for text in (dtype.given[0], dtype.state[1] if dtype.state else "=")
    )
    if not re.fullmatch(r"[<>|=][biuf]\d\d?", f"{byte_order}{code}"):
        raise pickle.UnpicklingError(f"it names the dtype {code!r}; only numbers are read")
    kind = np.dtype(f"{byte_order}{code}")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise pickle.UnpicklingError(f"it has an array of shape {shape!r}")
    if math.prod(shape) * kind.itemsize != len(content):
        raise pickle.UnpicklingError(f"an array of shape {shape} holds {len(content)} bytes")
    return np.frombuffer(content, dtype=kind).reshape(shape, order=order)


def read_python_batch(
    folder: Path, file: PublishedFile, verify: bool, n_classes: int
) -> tuple[Images, Labels]:
    """Read one pickled batch: images (n, 3, 32, 32) and labels (n,)."""
    path = folder / file.name
    batch = read_pickled_arrays(_content(folder, file, verify), path)
    label_key, pixels = "labels" if n_classes == 10 else "fine_labels", batch.get("data")
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 2
        or pixels.shape[1] != PIXELS
    ):
        raise ValueError(f"{path} holds no 'data' of shape (n, {PIXELS}) in bytes")
    if label_key not in batch:
        raise ValueError(f"{path} holds no {label_key!r}")
    y = labels(batch[label_key], n_classes, path)
    if len(y) != len(pixels):
        raise ValueError(f"{path} holds {len(pixels)} images and {len(y)} labels")
    return pixels.reshape(-1, *SHAPE), y


def read_binary_batch(
    folder: Path, file: PublishedFile, verify: bool, n_classes: int
) -> tuple[Images, Labels]:
    """Read one file of records: a label byte (of CIFAR-100 two, the fine one last), 3072 pixels."""
    path = folder / file.name
    content = _content(folder, file, verify)
    label_bytes = 1 if n_classes == 10 else 2
    record = label_bytes + PIXELS
    if not content or len(content) % record:
        raise ValueError(
            f"{path} holds {len(content)} bytes, which is no multiple of its records of {record}"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return records[:, label_bytes:].reshape(-1, *SHAPE), labels(records[:, label_bytes - 1], n_classes, path)


SITES = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")


CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# Alphabetical, which is the order of the labels.
CLASS_LIST = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
    road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
CIFAR100_CLASSES = tuple(CLASS_LIST.split())


def _form(folder: str, archive: tuple[str, str, int], class_names: tuple[str, ...], **md5: str) -> Form:
    """Return one of the two forms: files of batches, the last one the test part, in an archive."""
    binary = "bin" in folder
    name, digest, size = archive
    files = tuple(PublishedFile(file + ".bin" * binary, (found,)) for file, found in md5.items())
    reader = read_binary_batch if binary else read_python_batch

    def read(place: Path, verify: bool) -> RawData:
        *train, test = (reader(place, file, verify, len(class_names)) for file in files)
        x, y = (np.concatenate(parts) for parts in zip(*train))
        return RawData(x, y, *test, class_names=class_names)

    short = f"cifar{len(class_names)}"
    return Form(
        folders=(folder, f"{short}/{folder}", short),
        files=files,
        read=read,
        archive=PublishedFile(name, (digest,), size, tuple(site + name for site in SITES)),
        unpacked_size=200_000_000,
    )


def _source(
    class_names: tuple[str, ...], mean: tuple[float, ...], std: tuple[float, ...], *forms: Form
) -> Source:
    return Source(
        name=f"cifar{len(class_names)}",
        title=f"photographs, 32 x 32 colour, {len(class_names)} classes",
        n_classes=len(class_names),
        input_shape=SHAPE,
        n_train=50000,
        n_test=10000,
        mean=mean,
        std=std,
        reference="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        forms=forms,
        validation=5000,
        augmentation=Augmentation(pad=4, flip=True),
    )


CIFAR10 = _source(
    CIFAR10_CLASSES,
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
    _form(
        "cifar-10-batches-py",
        ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170498071),
        CIFAR10_CLASSES,
        data_batch_1="c99cafc152244af753f735de768cd75f",
        data_batch_2="d4bba439e000b95fd0a9bffe97cbabec",
        data_batch_3="54ebc095f3ab1f0389bbae665268c751",
        data_batch_4="634d18415352ddfa80567beed471001a",
        data_batch_5="482c414d41f54cd18b22e5b47cb7c3cb",
        test_batch="40351d587109b95175f43aff81a1287e",
    ),
    _form(
        "cifar-10-batches-bin",
        ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170052171),
        CIFAR10_CLASSES,
        data_batch_1="5dd7e06a14cb22eb9f671a540d1b7c25",
        data_batch_2="5ea93a67294ea407fff1d09f752e9692",
        data_batch_3="942cd6a4bcdd0dd3c604fbe906cb4421",
        data_batch_4="ae636b3ba5c66a11e91e8cb52e771fcb",
        data_batch_5="53f37980c15c3d472c316c40844f3f0d",
        test_batch="803d5f7f4d78ea53de84dbe85f74fb6d",
    ),
)

CIFAR100 = _source(
    CIFAR100_CLASSES,
    (0.5071, 0.4865, 0.4409),
    (0.2673, 0.2564, 0.2762),
    _form(
        "cifar-100-python",
        ("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169001437),
        CIFAR100_CLASSES,
        train="16019d7e3df5f24257cddd939b257f8d",
        test="f0ef6b0ae62326f3e7ffdfab6717acfc",
    ),
    _form(
        "cifar-100-binary",
        ("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168513733),
        CIFAR100_CLASSES,
        train="6172c7755cfe09b2fe270c85cebc1b15",
        test="4499cfba6c016c1be1438163640a0898",
    ),
)
