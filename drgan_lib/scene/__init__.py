"""Chapter 02: meshes, layouts, and the virtual scene that renders them::

    parameters [n] --Renderer.image--> image [h, w]        (differentiable)
    layout         --Renderer.instance_ids--> ids [h, w]   (exact partition)

`TransportRenderer` does the same from light transport that is traced once per layout.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
