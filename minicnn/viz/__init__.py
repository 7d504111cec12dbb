"""Pictures, drawn with matplotlib's Figure objects: nothing here touches pyplot or its global state."""

import minicnn.viz.any_backend  # noqa: F401  # before anything else imports matplotlib  # isort: skip
from minicnn.viz.animations import animate_col2im, animate_im2col
from minicnn.viz.cards import card
from minicnn.viz.checkpoint_figures import show_confusion, show_features, show_filters, show_saliency
from minicnn.viz.confusion import confusion_matrix, draw_confusion
from minicnn.viz.curves import Curve, Panel, error_curves
from minicnn.viz.drawing import Drawn, draw_network
from minicnn.viz.features import Layer, draw_features, feature_maps
from minicnn.viz.filters import draw_filters, first_filters
from minicnn.viz.predictions import draw_predictions
from minicnn.viz.saliency import draw_saliency, gradient_saliency, occlusion_saliency
from minicnn.viz.stepping import step_through, walk_html
from minicnn.viz.style import save_figure
from minicnn.viz.walk_page import page, receptive_field

__all__ = [
    "Curve",
    "Drawn",
    "Layer",
    "Panel",
    "animate_col2im",
    "animate_im2col",
    "card",
    "confusion_matrix",
    "draw_confusion",
    "draw_features",
    "draw_filters",
    "draw_network",
    "draw_predictions",
    "draw_saliency",
    "error_curves",
    "feature_maps",
    "first_filters",
    "gradient_saliency",
    "occlusion_saliency",
    "page",
    "receptive_field",
    "save_figure",
    "show_confusion",
    "show_features",
    "show_filters",
    "show_saliency",
    "step_through",
    "walk_html",
]
