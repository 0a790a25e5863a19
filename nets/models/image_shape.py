"""Check that an input has the shape of an image that a network can take."""

from __future__ import annotations


def image_shape(
    name: str, input_shape: tuple[int, ...], *, smallest: int = 1, multiple: int = 1
) -> tuple[int, int, int]:
    """Return (channels, height, width).

    Parameters
    ----------
    name : str
        The network, for the message.
    input_shape : tuple of int
        Shape of one input.
    smallest : int
        Pixels that the height and the width must have at least.
    multiple : int
        Number that they must be multiples of.

    Raises
    ------
    ValueError
        If it is no image, or one too small.
    """
    if len(input_shape) != 3:
        raise ValueError(
            f"{name} takes images of shape (channels, height, width), got inputs of shape {input_shape}; "
            "lenet-300-100 takes any shape"
        )
    channels, height, width = input_shape
    if min(height, width) < smallest or height % multiple or width % multiple:
        needs = f"at least {smallest} x {smallest} pixels" + (
            f", sides multiples of {multiple}" if multiple > 1 else ""
        )
        raise ValueError(f"{name} needs images of {needs}, got {height} x {width}")
    return channels, height, width
