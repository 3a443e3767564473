from .basis import TransportError
from .build import SceneError
from .cache import BasisCache
from .ground import Ground, GroundError, choose_ground
from .layout import Layout, LayoutError, sample_layout
from .meshes import MeshError, make_meshes, read_mesh, write_meshes
from .parameters import at_position, liveness
from .render import Renderer
from .stage import load_layouts, make_renderer, prepare
from .transport import TransportRenderer
from .twin import make_twin
