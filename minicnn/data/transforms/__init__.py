"""What happens to images before they enter the network.

There are two kinds. The functions transform a batch, as :class:`minicnn.data.Loader` calls them. The classes transform
a single image when a data set reads it, with torchvision's names and settings; :class:`Compose` joins several. They are
the same transforms: a class calls the function with a batch of one.

A function is called as ``transform(images, rng)`` with a batch (N, C, H, W) of uint8 or floats and a
`numpy.random.Generator`. It returns a new batch of the same dtype, with random values drawn for each image; the same
`rng` gives the same result. Images on a GPU stay there, but the random numbers come from the processor, so that they
are the same. Where `rng` is optional, nothing is random. Use `functools.partial` to set other arguments, and
:func:`compose` to join several steps. The paper's training (section 4.1), for images of 256x256:

>>> from functools import partial
>>> import numpy as np
>>> from minicnn.data import pixel_statistics, transforms
>>> images = np.random.default_rng(0).integers(0, 256, (4, 3, 256, 256), dtype=np.uint8)
>>> statistics = pixel_statistics(images)
>>> augment = transforms.compose(
...     partial(transforms.subtract_mean, mean=statistics.mean),
...     transforms.random_crop,
...     transforms.random_flip,
...     partial(transforms.pca_colour, components=statistics.components),
... )
>>> batch = augment(images, np.random.default_rng(1))
>>> batch.shape, batch.dtype
((4, 3, 224, 224), dtype('float32'))

An object of a class is called as ``transform(image)`` with one image: an array or a Tensor (C, H, W), or an image of
Pillow, which becomes an array of uint8 (C, H, W). The result is a Tensor if a Tensor was given. Random ones draw from
the generator that :func:`minicnn.manual_seed` seeds; in a :class:`minicnn.data.DataLoader`, from one of the batch's
own.

>>> train = transforms.Compose([
...     transforms.RandomCrop(32, padding=4),
...     transforms.RandomHorizontalFlip(),
...     transforms.ToTensor(),
...     transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
... ])
>>> image = train(np.zeros((3, 32, 32), np.uint8))
>>> image.shape, image.dtype
((3, 32, 32), dtype('float32'))
"""

from minicnn.data.transforms.batches import (
    Transform,
    center_crop,
    compose,
    pad_and_crop,
    pca_colour,
    random_crop,
    random_flip,
    subtract_mean,
    ten_crop,
)
from minicnn.data.transforms.images import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
)

__all__ = [
    "CenterCrop",
    "Compose",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Resize",
    "ToTensor",
    "Transform",
    "center_crop",
    "compose",
    "pad_and_crop",
    "pca_colour",
    "random_crop",
    "random_flip",
    "subtract_mean",
    "ten_crop",
]
