"""Settings proposed from unannotated micrographs::

    micrographs --observe--> Observation --propose--> Proposal --as_yaml--> a material's file

What an expert would otherwise guess, sizes, number, coverage, clusters and gray levels, is measured on the training
micrographs, and corrected by measuring renders of the proposed settings in the same way. The expert stays free to edit.
"""

from drgan_lib.suggest.observation import Observation, Sizes, Views, Window, observe, visible_sizes
from drgan_lib.suggest.proposal import Estimate, Proposal, propose
from drgan_lib.suggest.suggestion import SuggestError, Suggestion, default_name, suggest
from drgan_lib.suggest.write import COLUMNS
