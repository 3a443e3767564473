"""A user's own images, measured with a trained network::

    images --check_inputs--> Input --predict--> ClassMap --label_windows--> instances --quantify.measure--> tables

Every image is checked before the network starts; large ones are segmented and labelled in windows, so that memory stays
bounded; images that are complete are kept.
"""

from drgan_lib.measure.folder import MeasureError
from drgan_lib.measure.measure import default_out, measure_images
from drgan_lib.measure.read import Input, check_inputs, find_images
from drgan_lib.measure.summary import Measurement
from drgan_lib.measure.tiles import Window, label_windows, windows

__all__ = [
    "Input",
    "MeasureError",
    "Measurement",
    "Window",
    "check_inputs",
    "default_out",
    "find_images",
    "label_windows",
    "measure_images",
    "windows",
]
