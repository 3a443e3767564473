"""The process in which nnU-Net runs: `python -m drgan_lib.segmentation.worker`.

nnU-Net reads its folders from the environment at import, sets Matplotlib's backend, prints at length and may
be killed for memory; none of that should happen to the notebook. `drgan_lib.segmentation.nnunet` sets the environment
and starts this package, which reads the request, JSON, from its standard input. What trains and what predicts are
modules of their own, so that a change of one does not make the results of the other obsolete.
"""
