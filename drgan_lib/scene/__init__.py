"""Chapter 02: meshes, layouts, and the virtual scene that renders them::

    parameters [n] --Renderer.image--> image [h, w]        (differentiable)
    layout         --Renderer.instance_ids--> ids [h, w]   (exact partition)

`TransportRenderer` does the same from light transport that is traced once per layout.
"""

from drgan_lib.scene.cache import BasisCache
from drgan_lib.scene.layout import Layout, LayoutError, sample_layout
from drgan_lib.scene.meshes import MeshError, make_meshes, read_mesh, write_meshes
from drgan_lib.scene.parameters import at_position, liveness
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.stage import load_layouts, make_renderer, prepare
from drgan_lib.scene.trace import TransportError
from drgan_lib.scene.transport import TransportRenderer
from drgan_lib.scene.twin import make_twin
