"""Fashion-MNIST: 70,000 pictures of clothes of 28 x 28 pixels, four IDX files in the form of MNIST."""

from __future__ import annotations

from functools import partial

from nets.data.mnist import idx_file, read_four
from nets.data.source import Form, Source

CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SITES = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
FILES = (
    idx_file(
        "train-images-idx3-ubyte.gz",
        26421880,
        SITES,
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    idx_file(
        "train-labels-idx1-ubyte.gz",
        29515,
        SITES,
        "25c81989df183df01b3e8a0aad5dffbe",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    idx_file(
        "t10k-images-idx3-ubyte.gz",
        4422102,
        SITES,
        "bef4ecab320f06d8554ea6380940ec79",
        "8181f5470baa50b63fa0f6fddb340f0a",
    ),
    idx_file(
        "t10k-labels-idx1-ubyte.gz",
        5148,
        SITES,
        "bb300cfdad3c16e7a12a480ee83cd310",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
)

SOURCE = Source(
    name="fashion-mnist",
    title="clothes, 28 x 28 grey",
    n_classes=10,
    input_shape=(1, 28, 28),
    n_train=60000,
    n_test=10000,
    mean=(0.2860,),
    std=(0.3530,),
    reference="H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747, 2017",
    forms=(
        Form(
            folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "fashion"),
            files=FILES,
            read=partial(read_four, files=FILES, class_names=CLASSES),
        ),
    ),
    validation=5000,
)
