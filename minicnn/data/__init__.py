"""Labelled images and how to feed them to a network: CIFAR-10, drawn shapes, image folders, scaling, batches."""

from minicnn.data import transforms
from minicnn.data.cifar10 import load_cifar10
from minicnn.data.data_loader import DataLoader, default_collate
from minicnn.data.dataset import Dataset, Subset, TensorDataset, random_split
from minicnn.data.decoding import load_image
from minicnn.data.errors import DataError
from minicnn.data.image_folder import ImageFolder
from minicnn.data.labelled_images import ImageDataset, LabelledImages
from minicnn.data.loader import Loader
from minicnn.data.preparation import Preparation
from minicnn.data.shapes import load_shapes
from minicnn.data.sketches import load_sketches
from minicnn.data.splits import Splits, find_splits, split_validation
from minicnn.data.statistics import PixelStatistics, pixel_statistics

__all__ = [
    "DataError",
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "ImageFolder",
    "LabelledImages",
    "Loader",
    "PixelStatistics",
    "Preparation",
    "Splits",
    "Subset",
    "TensorDataset",
    "default_collate",
    "find_splits",
    "load_cifar10",
    "load_image",
    "load_shapes",
    "load_sketches",
    "pixel_statistics",
    "random_split",
    "split_validation",
    "transforms",
]
