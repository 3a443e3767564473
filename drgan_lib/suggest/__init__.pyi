from .observation import Observation, Sizes, Views, Window, observe, visible_sizes
from .proposal import Estimate, Proposal, propose
from .suggestion import SuggestError, Suggestion, default_name, suggest_material
from .write import COLUMNS
