from .accessors import open_gltf
from .cut import triangulate
from .gltf import read_gltf
from .obj import read_obj
from .ply import read_ply
from .polygons import Polygons
from .stl import read_stl
