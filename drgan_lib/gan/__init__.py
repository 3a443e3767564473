"""Learning the appearance: a regressor of scene parameters and a PatchGAN, trained through the renderer."""

from drgan_lib.gan.checkpoint import CheckpointError
from drgan_lib.gan.features import FeatureError, frechet_distance, kid, spread
from drgan_lib.gan.history import learned_parameters, load_generator, recovery, select_epoch, time_spent, write_summary
from drgan_lib.gan.networks import Generator, PatchDiscriminator, lsgan_loss
from drgan_lib.gan.plots import plot_curves, plot_parameters, plot_recovery, plot_rows
from drgan_lib.gan.trainer import TrainingError, train
