"""Learning the appearance: a regressor of scene parameters and a PatchGAN, trained through the renderer."""

from drgan_lib.gan.checkpoint import CheckpointError
from drgan_lib.gan.distances import frechet_distance, kid, spread
from drgan_lib.gan.features import FeatureError, Features, choose_features
from drgan_lib.gan.figures import draw_rows, plot_curves, plot_parameters, plot_recovery, plot_samples
from drgan_lib.gan.networks import Generator, PatchDiscriminator, lsgan_loss
from drgan_lib.gan.recovery import parameter_distance, recovery, write_figures_json
from drgan_lib.gan.select import load_generator, parameter_table, select_epoch, selected_epoch
from drgan_lib.gan.train import epoch_records, time_spent, train, write_history
from drgan_lib.gan.trainer import TrainingError

__all__ = [
    "CheckpointError",
    "FeatureError",
    "Features",
    "Generator",
    "PatchDiscriminator",
    "TrainingError",
    "choose_features",
    "draw_rows",
    "epoch_records",
    "frechet_distance",
    "kid",
    "load_generator",
    "lsgan_loss",
    "parameter_distance",
    "parameter_table",
    "plot_curves",
    "plot_parameters",
    "plot_recovery",
    "plot_samples",
    "recovery",
    "select_epoch",
    "selected_epoch",
    "spread",
    "time_spent",
    "train",
    "write_figures_json",
    "write_history",
]
