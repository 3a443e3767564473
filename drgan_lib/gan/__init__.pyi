from .checkpoint import CheckpointError
from .features import FeatureError, frechet_distance, kid, spread
from .history import learned_parameters, load_generator, recovery, select_epoch, time_spent, write_summary
from .likeness import likeness
from .networks import Generator, PatchDiscriminator, lsgan_loss
from .plots import plot_curves, plot_parameters, plot_recovery, plot_rows
from .trainer import TrainingError, train
