from .measured import report_measurement
from .run import report_run
