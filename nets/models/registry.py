"""The networks known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from nets.models.lenet import lenet_5, lenet_300_100
from nets.models.resnet import resnet_18, resnet_cifar, wide_resnet
from nets.models.vgg import conv, vgg
from nets.models.vision_transformer import vit_lite
from nets.registry import models

#: (input_shape, n_classes, width=1.0) -> network, its weights drawn from torch's global CPU generator.
Factory = Callable[..., nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A network known by name.

    Parameters
    ----------
    name : str
        Lower case, words joined by hyphens.
    title : str
        What it is, in one line.
    factory : callable
        Makes it: ``factory(input_shape, n_classes, width=1.0)``; the width is a factor of all units.
    reference : str
        The paper.
    """

    name: str
    title: str
    factory: Factory
    reference: str


FRANKLE = "Frankle and Carbin, ICLR 2019"
HE = "He, Zhang, Ren and Sun, CVPR 2016"
SIMONYAN = "Simonyan and Zisserman, ICLR 2015"
ZAGORUYKO = "Zagoruyko and Komodakis, BMVC 2016"
HASSANI = "Hassani et al., arXiv 2104.05704"

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture("lenet-300-100", "fully connected, 300 and 100 hidden units", lenet_300_100, FRANKLE),
        Architecture(
            "lenet-5", "two convolutions and 500 hidden units", lenet_5, "LeCun et al. 1998 (Caffe)"
        ),
        *(
            Architecture(
                f"conv-{d}", f"{d} convolutions, two hidden layers of 256", partial(conv, depth=d), FRANKLE
            )
            for d in (2, 4, 6)
        ),
        *(
            Architecture(
                f"resnet-{d}", f"residual, {d} layers, for CIFAR", partial(resnet_cifar, depth=d), HE
            )
            for d in (20, 32, 56)
        ),
        Architecture("resnet-18", "residual, 18 layers, stem for CIFAR", resnet_18, HE),
        Architecture(
            "resnet-18-imagenet",
            "residual, 18 layers, stem for ImageNet",
            partial(resnet_18, stem="imagenet"),
            HE,
        ),
        *(
            Architecture(
                f"vgg-{d}", f"{d} layers, batch normalisation, for CIFAR", partial(vgg, depth=d), SIMONYAN
            )
            for d in (11, 16, 19)
        ),
        *(
            Architecture(
                f"wide-resnet-{d}-{w}",
                f"residual, {d} layers, {w} times as wide",
                partial(wide_resnet, depth=d, widen=w),
                ZAGORUYKO,
            )
            for d, w in ((16, 8), (22, 2), (28, 10))
        ),
        Architecture(
            "vit-lite-6", "vision transformer, 6 blocks of width 256", partial(vit_lite, depth=6), HASSANI
        ),
    )
}


def architecture(name: str) -> Architecture:
    """Return the named architecture; underscores and capitals are forgiven.

    Raises
    ------
    ValueError
        If the name is unknown, or is that of a factory of the user's.
    """
    found = models.find(name)
    if not isinstance(found, Architecture):
        raise ValueError(f"{name!r} is a {type(found).__name__}, not an Architecture")
    return found
